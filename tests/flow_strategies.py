"""Hypothesis strategies for flows that keep every rule of `flows.model`."""

from datetime import time
from typing import Any, get_args

from hypothesis import strategies as st

from engage_pipeline.flows.conditions import (
    FITTING,
    FITTING_TEXT,
    LIST_OPERATORS,
    NUMBER_OPERATORS,
    WITHOUT_VALUE,
    ConditionGroup,
    ConditionType,
    TriggerCondition,
)
from engage_pipeline.flows.model import LARGEST_PRIORITY, LONGEST_REENTRY_DAYS, LONGEST_WAIT_MINUTES, Action, Flow
from engage_pipeline.flows.storable import LARGEST_EXACT_FLOAT
from engage_pipeline.flows.values import moments

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
words = texts.filter(str.strip)
names = texts.map(str.strip).filter(bool)
numbers = st.integers(-(10**12), 10**12) | st.floats(-LARGEST_EXACT_FLOAT, LARGEST_EXACT_FLOAT)
values = texts | numbers | st.booleans()
extras = st.dictionaries(
    texts.map("x_".__add__),
    st.recursive(
        values | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_size=2,
)

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Europe/London"]


dates = st.sampled_from(["2026-05-01", "2026-05-01T09:30Z", "1 May 2026", "May 2, 2026", "2026/05/03"])
patterns = st.sampled_from(["a", "^a", "b$", "[0-9]+", "(a|b)c?", "^$", "."])


def trigger_conditions(
    scalars: st.SearchStrategy[Any] = values,
    field_names: st.SearchStrategy[str] = words,
    some_numbers: st.SearchStrategy[Any] = numbers,
    some_dates: st.SearchStrategy[str] = dates,
) -> st.SearchStrategy[TriggerCondition]:
    """One condition of any type, with any operator that fits it."""

    @st.composite
    def build(draw: st.DrawFn) -> TriggerCondition:
        condition_type = draw(st.sampled_from(get_args(ConditionType)))
        operator = draw(st.sampled_from(sorted(FITTING.get(condition_type, FITTING_TEXT))))
        pair = st.tuples(some_dates, some_dates).map(by_moment)
        if condition_type != "created_at":
            pair |= st.tuples(some_numbers, some_numbers).map(sorted)
        by_operator: dict[str, st.SearchStrategy[Any]] = {
            **dict.fromkeys(WITHOUT_VALUE, st.none()),
            **dict.fromkeys(LIST_OPERATORS, st.lists(scalars, min_size=1, max_size=3)),
            **dict.fromkeys(NUMBER_OPERATORS, some_numbers),
            "before": some_dates,
            "after": some_dates,
            "within_last": st.sampled_from([1, 0.5, "30", 36_525]),
            "between": pair,
            "matches": patterns,
        }
        return TriggerCondition.model_validate(
            {
                "condition_type": condition_type,
                "condition_operator": operator,
                "condition_value": draw(by_operator.get(operator, scalars)),
                "custom_field_name": draw(field_names) if condition_type == "custom_field" else None,
            }
        )

    return build()


def by_moment(pair: tuple[str, str]) -> list[str]:
    """Two dates, the one that begins first before the other."""
    return sorted(pair, key=lambda text: moments(text) or (0, 0))


def condition_nodes(
    single: st.SearchStrategy[TriggerCondition] | None = None,
) -> st.SearchStrategy[TriggerCondition | ConditionGroup]:
    """A condition, or groups of them some levels deep."""
    return st.recursive(
        trigger_conditions() if single is None else single,
        lambda inner: st.builds(
            lambda kind, nodes: ConditionGroup.model_validate({kind: nodes}),
            st.sampled_from(["all", "any", "none"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=5,
    )


@st.composite
def _action_lists(draw: st.DrawFn) -> tuple[Action, ...]:
    kinds = draw(st.lists(st.sampled_from(["ai_call", "whatsapp_message", "email", "wait"]), min_size=1, max_size=5))
    has_result = False
    actions = []
    for order, kind in enumerate(kinds, start=1):
        conditions = ["always", "if_previous_success", "if_previous_failed"] if has_result else ["always"]
        actions.append(
            Action.model_validate(
                {
                    "action_order": order,
                    "action_type": kind,
                    "action_config": draw(_configs(kind)),
                    "execute_condition": draw(st.sampled_from(conditions)),
                }
            )
        )
        has_result = has_result or kind != "wait"
    return tuple(draw(st.permutations(actions)))


def _configs(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    needed: dict[str, st.SearchStrategy[Any]] = {
        "ai_call": st.fixed_dictionaries({"agent_id": words, "phone_number_id": words}),
        "whatsapp_message": st.fixed_dictionaries({"template_id": words}),
        "email": st.fixed_dictionaries({"template_id": words}),
        "wait": st.fixed_dictionaries({"duration_minutes": st.integers(1, LONGEST_WAIT_MINUTES)}),
    }
    return st.tuples(extras, needed[kind]).map(lambda both: both[0] | both[1])


@st.composite
def _business_hours(draw: st.DrawFn) -> dict[str, Any]:
    if not draw(st.booleans()):
        return {}
    clock = st.builds(time, st.integers(0, 23), st.integers(0, 59))
    start, end = draw(st.lists(clock, min_size=2, max_size=2, unique=True))
    return {
        "use_custom_business_hours": draw(st.booleans()),
        "business_hours_start": start,
        "business_hours_end": end,
        "business_hours_timezone": draw(st.sampled_from(ZONES)),
        "business_hours_overnight": start > end,
    }


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """One flow."""
    return Flow.model_validate(
        {
            "name": draw(names),
            "description": draw(st.none() | texts),
            "priority": draw(st.integers(0, LARGEST_PRIORITY)),
            "is_enabled": draw(st.booleans()),
            "reentry_after_days": draw(st.none() | st.integers(1, LONGEST_REENTRY_DAYS)),
            "trigger_conditions": draw(st.lists(condition_nodes(), max_size=3)),
            "actions": draw(_action_lists()),
            **draw(_business_hours()),
        }
    )


def flow_lists() -> st.SearchStrategy[list[Flow]]:
    """Flows of one tenant: names and priorities are unique."""
    return st.lists(flows(), max_size=4, unique_by=(lambda flow: flow.name, lambda flow: flow.priority))
