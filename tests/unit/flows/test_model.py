"""The rules within one flow, each by an example that breaks it."""

from datetime import time
from typing import Any

import pytest
from pydantic import ValidationError

from engage_pipeline.flows.conditions import TriggerCondition
from engage_pipeline.flows.model import Flow


def _action(order: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "action_order": order,
        "action_type": "email",
        "action_config": {"template_id": "welcome"},
        **changes,
    }


def _flow(**changes: Any) -> dict[str, Any]:
    return {"name": "Hot", "priority": 0, "actions": [_action()], **changes}


def _hours(start: object, end: object, **changes: Any) -> dict[str, Any]:
    return _flow(
        use_custom_business_hours=True,
        business_hours_start=start,
        business_hours_end=end,
        **{"business_hours_timezone": "Europe/London", **changes},
    )


def _field(operator: str, value: object) -> dict[str, Any]:
    return {
        "condition_type": "custom_field",
        "custom_field_name": "Plan",
        "condition_operator": operator,
        "condition_value": value,
    }


def _refusal(flow: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Flow.model_validate(flow)
    (only,) = caught.value.errors()
    return f"{'.'.join(map(str, only['loc']))}: {only['msg']}"


def test_the_smallest_flow_has_the_safe_defaults() -> None:
    flow = Flow.model_validate(_flow())
    assert flow.is_enabled
    assert not flow.use_custom_business_hours
    assert flow.trigger_conditions == ()
    assert flow.actions[0].execute_condition == "always"


@pytest.mark.parametrize(
    ("action_type", "action_config", "reason"),
    [
        ("ai_call", {}, "ai_call needs agent_id, phone_number_id"),
        ("ai_call", {"agent_id": "a"}, "ai_call needs phone_number_id"),
        ("ai_call", {"phone_number_id": "p"}, "ai_call needs agent_id"),
        ("ai_call", {"agent_id": "a", "phone_number_id": 12025550100}, "phone_number_id is text; put it in quotes"),
        ("ai_call", {"agent_id": "  ", "phone_number_id": "p"}, "agent_id is blank"),
        ("whatsapp_message", {}, "whatsapp_message needs template_id"),
        ("whatsapp_message", {"template_id": ""}, "whatsapp_message needs template_id"),
        ("email", {"template_id": None}, "email needs template_id"),
        ("wait", {}, "wait needs duration_minutes"),
        ("wait", {"duration_minutes": 0}, "duration_minutes is above 0"),
        ("wait", {"duration_minutes": -5}, "duration_minutes is above 0"),
        ("wait", {"duration_minutes": 525_601}, "at most 525600 (a year)"),
        ("wait", {"duration_minutes": True}, "duration_minutes is a number"),
        ("wait", {"duration_minutes": "60"}, "duration_minutes is a number"),
        ("wait", {"duration_minutes": float("inf")}, "inf is not a number that can be stored"),
        ("email", {"template_id": "a", "rate": float("nan")}, "nan is not a number that can be stored"),
        ("email", {"template_id": "a", "rate": 1e17}, "too large to be kept to the digit"),
        ("email", {"template_id": "a\0"}, "text holds neither NUL"),
        ("email", {"template_id": "a", "list": ["\ud800"]}, "half a surrogate pair"),
        ("email", {"template_id": "a", 1: "one"}, "the key 1 is not text"),
        ("email", {"template_id": "a", "bytes": b"x"}, "is a bytes, not text or a number"),
    ],
)
def test_an_action_config_carries_what_its_type_needs(
    action_type: str, action_config: dict[str, Any], reason: str
) -> None:
    refusal = _refusal(_flow(actions=[_action(action_type=action_type, action_config=action_config)]))
    assert refusal.startswith("actions.0.action_config: ")
    assert reason in refusal


def test_half_a_minute_is_a_duration() -> None:
    Flow.model_validate(_flow(actions=[_action(action_type="wait", action_config={"duration_minutes": 0.5})]))


@pytest.mark.parametrize("orders", [[2], [1, 1], [1, 3], [1, 2, 2]])
def test_action_orders_are_one_to_n_each_once(orders: list[int]) -> None:
    assert f"must be 1 to {len(orders)}, each once" in _refusal(_flow(actions=[_action(order) for order in orders]))


@pytest.mark.parametrize("order", [0, -1])
def test_an_action_order_is_positive(order: int) -> None:
    assert "greater than 0" in _refusal(_flow(actions=[_action(order)]))


def test_actions_may_be_written_in_any_order() -> None:
    Flow.model_validate(_flow(actions=[_action(2, execute_condition="if_previous_failed"), _action(1)]))


def test_a_flow_without_actions_is_refused() -> None:
    assert "at least one action" in _refusal(_flow(actions=[]))


@pytest.mark.parametrize("kind", ["if_previous_success", "if_previous_failed"])
def test_an_execute_condition_needs_a_result_before_it(kind: str) -> None:
    wait = {"action_type": "wait", "action_config": {"duration_minutes": 5}}
    assert "action 1 has no call" in _refusal(_flow(actions=[_action(1, execute_condition=kind)]))
    assert "action 2 has no call" in _refusal(_flow(actions=[_action(1, **wait), _action(2, execute_condition=kind)]))
    assert "action 1 has no call" in _refusal(_flow(actions=[_action(1, execute_condition=kind, **wait), _action(2)]))
    Flow.model_validate(_flow(actions=[_action(1), _action(2, **wait), _action(3, execute_condition=kind)]))


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"condition_type": "custom_field", "condition_operator": "any"}, "custom_field_name is needed"),
        (
            {"condition_type": "custom_field", "condition_operator": "any", "custom_field_name": " "},
            "custom_field_name is needed",
        ),
        (
            {"condition_type": "lead_source", "condition_operator": "any", "custom_field_name": "Plan"},
            "custom_field_name goes only with condition_type custom_field",
        ),
        ({"condition_type": "lead_source", "condition_operator": "equals"}, "condition_value is needed for equals"),
        ({"condition_type": "entry_type", "condition_operator": "contains"}, "condition_value is needed for contains"),
        (
            {"condition_type": "lead_source", "condition_operator": "any", "condition_value": "x"},
            "takes no condition_value",
        ),
        (
            {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": ["a", "b"]},
            "condition_value is one text",
        ),
        (
            {"condition_type": "lead_source", "condition_operator": "gt", "condition_value": 5},
            "gt does not fit lead_source",
        ),
        ({"condition_type": "created_at", "condition_operator": "equals", "condition_value": "x"}, "does not fit"),
        (
            {"condition_type": "tag", "condition_operator": "is_set", "condition_value": "x"},
            "is_set takes no condition",
        ),
        ({"condition_type": "tag", "condition_operator": "in", "condition_value": "x"}, "in needs a list"),
        ({"condition_type": "tag", "condition_operator": "not_in", "condition_value": []}, "needs 1 to 1000 values"),
        (
            {"condition_type": "tag", "condition_operator": "in", "condition_value": [["x"]]},
            "a list in condition_value",
        ),
        ({"condition_type": "tag", "condition_operator": "matches", "condition_value": "(a"}, "missing )"),
        ({"condition_type": "tag", "condition_operator": "matches", "condition_value": "(?=a)"}, "RE2 syntax"),
        ({"condition_type": "tag", "condition_operator": "matches", "condition_value": 5}, "put it in quotes"),
        (_field("gt", "five"), "gt needs a number"),
        (_field("lte", True), "lte needs a number"),
        (_field("before", "05/01/2026"), "before needs a date"),
        (_field("after", "2026-02-30"), "after needs a date"),
        (_field("within_last", 0), "above 0 and at most 36525"),
        (_field("within_last", "soon"), "needs a number of days"),
        (_field("between", 5), "between needs a list"),
        (_field("between", [1, 2, 3]), "between needs two values"),
        (_field("between", [2, 1]), "the lower value first"),
        (_field("between", [1, "2026-05-01"]), "two numbers or two dates"),
        (_field("between", ["2026-05-02", "2026-05-01"]), "the lower value first"),
        (
            {"condition_type": "created_at", "condition_operator": "between", "condition_value": [1, 2]},
            "two dates for created_at",
        ),
        ({"any": []}, "a group needs at least one condition"),
        ({"any": [], "all": []}, "a group is one of all, any and none"),
        (
            {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": float("nan")},
            "nan is not a number",
        ),
        ({"condition_type": "city", "condition_operator": "any"}, "'lead_source', 'entry_type', 'custom_field'"),
        ({"condition_type": "lead_source", "condition_operator": "is"}, "'equals', 'not_equals', 'contains'"),
    ],
)
def test_a_trigger_condition_is_complete(condition: dict[str, Any], reason: str) -> None:
    assert reason in _refusal(_flow(trigger_conditions=[condition]))


def test_groups_nest_up_to_sixteen_deep() -> None:
    node: dict[str, Any] = _field("is_set", None)
    for _ in range(16):
        node = {"any": [node]}
    Flow.model_validate(_flow(trigger_conditions=[node]))
    assert "more than 16 deep" in _refusal(_flow(trigger_conditions=[{"none": [node]}]))


@pytest.mark.parametrize("value", [True, 1, 1.5, "1", "", "true"])
def test_a_condition_value_keeps_its_type(value: object) -> None:
    condition = {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": value}
    kept = Flow.model_validate(_flow(trigger_conditions=[condition])).trigger_conditions[0]
    assert isinstance(kept, TriggerCondition)
    assert (type(kept.condition_value), kept.condition_value) == (type(value), value)


@pytest.mark.parametrize(
    "written", ["9:00", "09:00:00", "24:00", "09:60", "0900", " 09:00", "", "nine", "09:00\n", 570, 9.5]
)
def test_a_time_is_hours_and_minutes(written: object) -> None:
    assert "a time is written 'HH:mm'" in _refusal(_hours(written, "17:00"))


@pytest.mark.parametrize("written", [570, 9.5])
def test_a_time_that_yaml_read_as_a_number_gets_the_hint(written: object) -> None:
    assert "put the time in quotes" in _refusal(_hours(written, "17:00"))


def test_business_hours_are_read_and_written_to_the_minute() -> None:
    flow = Flow.model_validate(_hours("00:00", "23:59"))
    assert (flow.business_hours_start, flow.business_hours_end) == (time(0, 0), time(23, 59))
    assert flow.model_dump(mode="json")["business_hours_end"] == "23:59"


@pytest.mark.parametrize("missing", ["business_hours_start", "business_hours_end", "business_hours_timezone"])
def test_business_hours_that_are_used_are_complete(missing: str) -> None:
    assert "use_custom_business_hours needs" in _refusal({**_hours("09:00", "17:00"), missing: None})


def test_business_hours_that_are_not_used_may_stay_incomplete() -> None:
    Flow.model_validate(_flow(business_hours_start="09:00"))


def test_a_window_starts_before_it_ends_or_says_that_it_is_overnight() -> None:
    assert "is after business_hours_end" in _refusal(_hours("22:00", "06:00"))
    assert "the window is empty" in _refusal(_hours("09:00", "09:00"))
    assert "the window is empty" in _refusal(_hours("09:00", "09:00", business_hours_overnight=True))
    assert "starts before midnight" in _refusal(_hours("09:00", "17:00", business_hours_overnight=True))
    Flow.model_validate(_hours("22:00", "06:00", business_hours_overnight=True))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "EST5", "+02:00", "", "america/new_york"])
def test_a_time_zone_is_one_that_exists(zone: str) -> None:
    assert "an IANA time zone is needed" in _refusal(_hours("09:00", "17:00", business_hours_timezone=zone))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ""}, "at least 1 character"),
        ({"name": "   "}, "at least 1 character"),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"name": "a\0b"}, "neither NUL"),
        ({"name": 5}, "valid string"),
        ({"description": "\ud800"}, "surrogate"),
        ({"priority": -1}, "greater than or equal to 0"),
        ({"priority": 2**31}, "less than or equal to"),
        ({"priority": True}, "valid integer"),
        ({"priority": "1"}, "valid integer"),
        ({"priority": None}, "valid integer"),
        ({"is_enabled": "yes"}, "valid boolean"),
        ({"use_custom_business_hours": 1}, "valid boolean"),
        ({"owner": "me"}, "Extra inputs are not permitted"),
    ],
)
def test_the_fields_of_a_flow_are_what_they_say(changes: dict[str, Any], reason: str) -> None:
    assert reason in _refusal(_flow(**changes))


def test_a_name_loses_the_space_around_it() -> None:
    assert Flow.model_validate(_flow(name=" Hot ")).name == "Hot"
