"""Reads the flows one by one and the contacts row by row: slow and obvious, written from docs/matching.md alone."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

DAY = timedelta(days=1)
ANSWERS = {}


@cache
def number(text):
    found = re.fullmatch(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", text.strip())
    if not found or not (found[2] or found[3]):
        return None
    size = Fraction(int((found[2] or "") + (found[3] or "")), 10 ** len(found[3] or ""))
    return -size if found[1] == "-" else size


@cache
def span(text):
    """First and last instant that the text names."""
    text = text.strip()
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y", "%B %d %Y"):
        try:
            start = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if form[1] == "Y" and len(text) != 10:
            return None
        return start, start + DAY - timedelta(microseconds=1)
    if re.match(r"\d{4}-\d{2}-\d{2}[Tt ]\d\d:\d\d", text):
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at, at
    return None


def written(value):
    """A value as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def same(left, right):
    if number(left) is not None and number(right) is not None:
        return number(left) == number(right)
    return left.strip().casefold() == right.strip().casefold()


def seen(row, test):
    """The texts that the condition reads: none when missing."""
    values = {
        "lead_source": [row["lead_source"]],
        "entry_type": [row["entry_type"]],
        "custom_field": [json.loads(row["custom_fields"]).get(test.custom_field_name)],
        "tag": json.loads(row["tags"]),
        "email_domain": [row["email_domain"]],
        "phone_country": [{"+1": "US", "+44": "GB", "+91": "IN"}.get(row["country"])],
        "created_at": [row["created_at"].isoformat()],
    }[test.condition_type]
    return [text for text in (written(value) for value in values if value is not None) if text.strip()]


def one(operator, wanted, text, now):
    """Whether one text satisfies the operator."""
    folded = text.strip().casefold()
    part = written(wanted).strip().casefold() if not isinstance(wanted, tuple | None) else ""
    first = None if span(text) is None else span(text)[0]
    match operator:
        case "is_set":
            return True
        case "equals":
            return bool(part) and same(text, written(wanted))
        case "in":
            return any(written(each).strip() and same(text, written(each)) for each in wanted)
        case "contains":
            return bool(part) and part in folded
        case "starts_with":
            return bool(part) and folded.startswith(part)
        case "ends_with":
            return bool(part) and folded.endswith(part)
        case "matches":
            return re.search(wanted, text.strip(), re.IGNORECASE) is not None
        case "gt" | "gte" | "lt" | "lte":
            value, limit = number(text), number(written(wanted))
            if value is None:
                return False
            return {"gt": value > limit, "gte": value >= limit, "lt": value < limit, "lte": value <= limit}[operator]
        case "before":
            return first is not None and first < span(wanted)[0]
        case "after":
            return first is not None and first > span(wanted)[1]
        case "within_last":
            return first is not None and now - timedelta(days=float(number(written(wanted)))) <= first <= now
        case "between":
            low, high = map(written, wanted)
            if number(low) is not None and number(high) is not None:
                return number(text) is not None and number(low) <= number(text) <= number(high)
            return first is not None and span(low)[0] <= first <= span(high)[1]
    raise AssertionError(operator)


def remembered(operator, wanted, text, now):
    """`one`, asked once for each question; True and 1 are different ones."""
    question = (operator, repr(wanted), text, now)
    if question not in ANSWERS:
        ANSWERS[question] = one(operator, wanted, text, now)
    return ANSWERS[question]


def holds(node, row, now):
    """Whether a condition or group holds for a contact."""
    if hasattr(node, "kind"):
        inner = [holds(each, row, now) for each in node.conditions]
        return {"all": all(inner), "any": any(inner), "none": not any(inner)}[node.kind]
    operator = node.condition_operator
    if operator == "any":
        return True
    negated = {"not_equals": "equals", "not_in": "in", "is_not_set": "is_set"}
    asked = negated.get(operator, operator)
    found = any(remembered(asked, node.condition_value, text, now) for text in seen(row, node))
    return not found if operator in negated else found


def outcome(row, flows, now):
    """(priority of the flow that wins, reason)."""
    if row["is_dnc"]:
        return (None, "dnc")
    for flow in sorted(flows, key=lambda flow: flow.definition.priority):
        if str(flow.user_id) == row["user_id"] and all(
            holds(node, row, now) for node in flow.definition.trigger_conditions
        ):
            return (flow.definition.priority, "matched")
    return (None, "no_match")
