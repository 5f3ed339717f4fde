"""What an execution does next, rule by rule, and against walking the flow with a pencil."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.execution.hours import Place
from engage_pipeline.execution.steps import LogSoFar, final_status, next_logs
from engage_pipeline.flows.model import Flow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLACE = Place(tenant_zone="Asia/Kolkata", legal_hours=False)
CONFIG = {
    "ai_call": {"agent_id": "7f0c9a52-3d1e-4b8a-9c64-2e5d8f1b7a30", "phone_number_id": "+12025550100"},
    "whatsapp_message": {"template_id": "welcome"},
    "email": {"template_id": "welcome"},
    "wait": {"duration_minutes": 60},
}


def flow_of(*steps: tuple[str, str]) -> Flow:
    """A flow with these (action_type, execute_condition) in order."""
    return Flow.model_validate(
        {
            "name": "A flow",
            "priority": 0,
            "actions": [
                {
                    "action_order": number,
                    "action_type": action_type,
                    "action_config": CONFIG[action_type],
                    "execute_condition": condition,
                }
                for number, (action_type, condition) in enumerate(steps, start=1)
            ],
        }
    )


CALL_THEN_BOTH = flow_of(
    ("ai_call", "always"), ("whatsapp_message", "if_previous_failed"), ("email", "if_previous_success")
)


def test_a_fresh_execution_begins_with_its_first_action_now():
    [log] = next_logs(CALL_THEN_BOTH, [], now=NOW, place=PLACE)
    assert (log.action_order, log.status, log.due_at) == (1, "pending", NOW)


def test_after_a_success_the_action_for_failures_is_skipped_and_the_one_for_successes_runs():
    skipped, pending = next_logs(CALL_THEN_BOTH, [LogSoFar(1, "ai_call", "success")], now=NOW, place=PLACE)
    assert (skipped.status, skipped.skip_reason) == ("skipped", "previous_success")
    assert (pending.action_type, pending.status) == ("email", "pending")


def test_previous_is_the_last_action_that_was_really_attempted():
    logs = [LogSoFar(1, "ai_call", "failed"), LogSoFar(2, "whatsapp_message", "skipped")]
    [skipped] = next_logs(CALL_THEN_BOTH, logs, now=NOW, place=PLACE)
    assert skipped.skip_reason == "previous_failed"


def test_a_condition_without_any_attempt_before_it_is_false():
    logs = [LogSoFar(1, "ai_call", "skipped")]
    assert [log.skip_reason for log in next_logs(CALL_THEN_BOTH, logs, now=NOW, place=PLACE)] == [
        "no_previous",
        "no_previous",
    ]


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_nothing_follows_while_an_action_is_on_its_way(status):
    assert next_logs(CALL_THEN_BOTH, [LogSoFar(1, "ai_call", status)], now=NOW, place=PLACE) == []


def test_an_unknown_result_holds_conditions_back_but_not_always():
    assert next_logs(CALL_THEN_BOTH, [LogSoFar(1, "ai_call", "unknown")], now=NOW, place=PLACE) == []
    [log] = next_logs(
        flow_of(("ai_call", "always"), ("email", "always")), [LogSoFar(1, "ai_call", "unknown")], now=NOW, place=PLACE
    )
    assert (log.action_order, log.status) == (2, "pending")


def test_a_wait_is_due_when_it_is_over_and_does_not_count_as_previous():
    flow = flow_of(("email", "always"), ("wait", "always"), ("ai_call", "if_previous_success"))
    [wait] = next_logs(flow, [LogSoFar(1, "email", "success")], now=NOW, place=PLACE)
    assert wait.due_at == NOW + timedelta(minutes=60)
    [call] = next_logs(flow, [LogSoFar(1, "email", "success"), LogSoFar(2, "wait", "success")], now=NOW, place=PLACE)
    assert (call.action_type, call.status) == ("ai_call", "pending")


def test_outside_business_hours_an_action_is_due_at_the_next_opening():
    flow = CALL_THEN_BOTH.model_copy(
        update={
            "use_custom_business_hours": True,
            "business_hours_start": time(9, 0),
            "business_hours_end": time(17, 0),
            "business_hours_timezone": "Asia/Kolkata",
        }
    )
    [log] = next_logs(flow, [], now=NOW, place=PLACE)  # 17:30 in Kolkata
    assert log.due_at == datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        (["success"], "completed"),
        (["failed", "success"], "completed"),
        (["failed"], "failed"),
        (["failed", "failed"], "failed"),
        (["skipped"], "skipped"),
        (["failed", "skipped"], "failed"),
        (["unknown"], None),
        (["success", "pending"], None),
        (["success", "sending"], None),
    ],
)
def test_how_an_execution_ends(statuses, end):
    logs = [LogSoFar(number, "email", status) for number, status in enumerate(statuses, start=1)]
    assert final_status(CALL_THEN_BOTH, logs) == end


def test_a_flow_without_channel_actions_completes():
    assert final_status(flow_of(("wait", "always")), [LogSoFar(1, "wait", "success")]) == "completed"


def can_be_saved(steps):
    """A condition needs a channel action before it, or validation refuses the flow."""
    first_channel = next((number for number, (kind, _) in enumerate(steps) if kind != "wait"), len(steps) - 1)
    return all(condition == "always" for _, condition in steps[: first_channel + 1])


CONDITIONS = ["always", "if_previous_success", "if_previous_failed"]
steps_of_flows = st.lists(
    st.tuples(st.sampled_from(["ai_call", "whatsapp_message", "email", "wait"]), st.sampled_from(CONDITIONS)),
    min_size=1,
    max_size=6,
).filter(can_be_saved)


@given(
    steps=steps_of_flows, results=st.lists(st.sampled_from(["success", "failed", "skipped"]), min_size=6, max_size=6)
)
def test_walking_a_flow_to_its_end_attempts_what_reading_it_aloud_attempts(steps, results):
    """Every pending log gets the next result; the logs must be those of a plain reading of the flow."""
    flow, logs, fates = flow_of(*steps), [], iter(results)
    for _ in range(20):
        following = next_logs(flow, logs, now=NOW, place=PLACE)
        if not following:
            break
        for log in following:
            status = log.status
            if status == "pending":
                status = "success" if log.action_type == "wait" else next(fates)
            logs.append(LogSoFar(log.action_order, log.action_type, status))

    expected, previous, fates = [], None, iter(results)
    for number, (kind, condition) in enumerate(steps, start=1):
        wanted = {
            "always": True,
            "if_previous_success": previous == "success",
            "if_previous_failed": previous == "failed",
        }
        if not wanted[condition]:
            expected.append((number, "skipped"))
        elif kind == "wait":
            expected.append((number, "success"))
        else:
            fate = next(fates)
            expected.append((number, fate))
            previous = fate if fate != "skipped" else previous
    assert [(log.action_order, log.status) for log in logs] == expected
    assert final_status(flow, logs) is not None


def asking(*outcomes):
    """An e-mail, then a call that wants one of these outcomes of it."""
    flow = flow_of(("email", "always"), ("ai_call", "if_previous_failed"))
    call = flow.actions[1].model_copy(
        update={"execute_condition": "if_previous_outcome", "if_previous_outcome": outcomes}
    )
    return flow.model_copy(update={"actions": (flow.actions[0], call)})


@pytest.mark.parametrize(
    ("wanted", "status", "outcome", "verdict"),
    [
        (("bounced", "refused"), "failed", "bounced", "pending"),
        (("bounced", "refused"), "failed", "expired", "previous_outcome"),
        (("delivered",), "success", "read", "pending"),
        (("read",), "success", "delivered", "previous_outcome"),
        (("read",), "sent", "delivered", None),
        (("expired",), "failed", "expired", "pending"),
        (("bounced",), "unknown", None, None),
    ],
)
def test_a_condition_on_the_outcome_of_the_action_before(wanted, status, outcome, verdict):
    following = next_logs(asking(*wanted), [LogSoFar(1, "email", status, outcome)], now=NOW, place=PLACE)
    assert [log.skip_reason or log.status for log in following] == ([] if verdict is None else [verdict])


def test_delivered_does_not_end_what_a_later_action_wants_to_be_read():
    [waits] = next_logs(asking("read"), [], now=NOW, place=PLACE)
    [does_not] = next_logs(asking("read", "delivered"), [], now=NOW, place=PLACE)
    assert (waits.awaits_reading, does_not.awaits_reading) == (True, False)
    assert waits.outcome_timeout_minutes == 1440


def test_an_action_says_how_long_its_outcome_may_take():
    flow = flow_of(("ai_call", "always"))
    own = flow.model_copy(update={"actions": (flow.actions[0].model_copy(update={"outcome_timeout_minutes": 5}),)})
    assert [next_logs(each, [], now=NOW, place=PLACE)[0].outcome_timeout_minutes for each in (flow, own)] == [120, 5]


def test_what_follows_a_wait_was_due_when_the_wait_was_over():
    flow, ended = flow_of(("wait", "always"), ("email", "always")), NOW - timedelta(days=3)
    [log] = next_logs(flow, [LogSoFar(1, "wait", "success", None, ended)], now=NOW, place=PLACE)
    assert log.due_at == ended


@pytest.mark.parametrize(
    ("config", "ends"),
    [
        ({"until_time": "09:00"}, "2026-11-24T03:30"),
        ({"until_time": "18:00"}, "2026-11-23T12:30"),
        ({"until_weekday": "monday"}, "2026-11-29T18:30"),
        ({"until_weekday": "wednesday", "until_time": "10:00", "until_zone": "contact"}, "2026-11-25T15:00"),
    ],
)
def test_a_wait_until_a_time_or_a_weekday(config, ends):
    flow = flow_of(("wait", "always"))
    wait = flow.actions[0].model_copy(update={"action_config": config})
    place = Place(("America/New_York",), tenant_zone="Asia/Kolkata")
    [log] = next_logs(flow.model_copy(update={"actions": (wait,)}), [], now=NOW, place=place)
    assert log.due_at == datetime.fromisoformat(ends).replace(tzinfo=UTC)
