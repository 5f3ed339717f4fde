"""The contacts and the two sets of flows that everything in the table works on."""

import random
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import StoredFlow

FIELDS = ("Active", "Budget", "Country", "Industry", "Plan", "Score", "Seats", "Signup")
NUMBERS = ("Budget", "Score", "Seats")
ACTION = {"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}

_CONTACTS = """
copy (
    select
        n::varchar as contact_id,
        ('00000000-0000-0000-0000-' || lpad((hash(n, 1) % {tenants})::varchar, 12, '0')) as user_id,
        'source ' || (hash(n, 2) % 12) as lead_source,
        'entry ' || (hash(n, 3) % 5) as entry_type,
        '["tag ' || (hash(n, 4) % 20) || '"]' as tags,
        'mail' || (hash(n, 5) % 50) || '.example' as email_domain,
        null::varchar as phone_e164,
        timestamptz '2026-05-01 00:00:00+00' - to_seconds(hash(n, 6) % 10000000) as created_at,
        to_json({{
            'Active': hash(n, 7) % 2 = 0,
            'Budget': hash(n, 8) % 100000,
            'Country': 'country ' || (hash(n, 9) % 20),
            'Industry': 'industry ' || (hash(n, 10) % 30),
            'Plan': 'plan ' || (hash(n, 11) % 5),
            'Score': (hash(n, 12) % 10000) / 100,
            'Seats': hash(n, 13) % 500,
            'Signup': (date '2026-01-01' + (hash(n, 14) % 365)::integer)::varchar
        }})::varchar as custom_fields,
        false as is_dnc,
        true as can_ai_call, true as can_ai_call_address,
        true as can_whatsapp_message, true as can_whatsapp_message_address,
        true as can_email, true as can_email_address
    from range({contacts}) as numbers (n)
) to '{path}' (format parquet)
"""


def write_contacts(path: Path, *, contacts: int, tenants: int) -> None:
    """A Parquet file: 12 lead sources, 5 entry types, 8 typed custom fields as one JSON text, one of 20 tags."""
    with duckdb.connect(config={"threads": 2}) as staging:
        staging.execute(_CONTACTS.format(tenants=tenants, contacts=contacts, path=path))


class Test(NamedTuple):
    """One condition as the peers read it: a field of the contact (or `lead_source`, `tag`), an operator, a value."""

    field: str
    operator: str
    value: Any


class PlainFlow(NamedTuple):
    """A flow of one tenant without anything but what decides: every test must hold."""

    user_id: str
    priority: int
    tests: tuple[Test, ...]


def make_flows(kind: str, count: int, tenants: int) -> list[PlainFlow]:
    """`count` flows over the tenants: `easy` ones are broad and catch most contacts, `selective` ones seldom match."""
    rng = random.Random(count)  # noqa: S311 - figures must repeat
    tests = _easy if kind == "easy" else _selective
    return [
        PlainFlow(f"00000000-0000-0000-0000-{number % tenants:012d}", number // tenants, tuple(tests(rng)))
        for number in range(count)
    ]


def as_stored(flows: list[PlainFlow]) -> list[StoredFlow]:
    """The same flows as the matcher takes them."""
    return [
        StoredFlow(
            UUID(int=10**9 + number),
            UUID(flow.user_id),
            1,
            Flow.model_validate(
                {
                    "name": str(number),
                    "priority": flow.priority,
                    "trigger_conditions": [_as_condition(test) for test in flow.tests],
                    "actions": [ACTION],
                }
            ),
        )
        for number, flow in enumerate(flows)
    ]


def by_tenant(flows: list[PlainFlow]) -> dict[str, list[PlainFlow]]:
    """Each tenant's flows, first priority first."""
    grouped: dict[str, list[PlainFlow]] = {}
    for flow in sorted(flows, key=lambda flow: flow.priority):
        grouped.setdefault(flow.user_id, []).append(flow)
    return grouped


def _as_condition(test: Test) -> dict[str, Any]:
    named = {"condition_operator": test.operator, "condition_value": test.value}
    if test.field in ("lead_source", "tag"):
        return {"condition_type": test.field, **named}
    return {"condition_type": "custom_field", "custom_field_name": test.field, **named}


def _easy(rng: random.Random) -> list[Test]:
    return [
        Test("lead_source", "equals", f"source {rng.randrange(12)}"),
        rng.choice(
            [
                Test("Budget", "gte", rng.randrange(0, 80_000, 1000)),
                Test("Score", "lt", rng.randrange(20, 100)),
                Test("Plan", "not_equals", f"plan {rng.randrange(5)}"),
                Test("tag", "not_equals", f"tag {rng.randrange(20)}"),
            ]
        ),
    ]


def _selective(rng: random.Random) -> list[Test]:
    low = rng.randrange(0, 95_000, 100)
    return [
        Test("lead_source", "equals", f"source {rng.randrange(12)}"),
        Test("Industry", "equals", f"industry {rng.randrange(30)}"),
        Test("Plan", "equals", f"plan {rng.randrange(5)}"),
        Test("Budget", "between", [low, low + 5_000]),
        Test("Seats", "gt", rng.randrange(500)),
    ]
