"""Whole walks through flows: conditions, waits, hours, and how an execution ends."""

import asyncio
from datetime import UTC, datetime, time, timedelta

import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.execution.batches import finish_batch
from engage_pipeline.execution.ledger import claim_due, complete_waits
from engage_pipeline.execution.start import start_executions
from engage_pipeline.matching.batch import assign_batch
from tests.integration.ledger_world import flow_of

SUCCESS, FAILED = "if_previous_success", "if_previous_failed"


@pytest.mark.parametrize(
    ("first_answer", "condition", "second", "execution"),
    [
        (None, "always", "success", "completed"),
        (None, SUCCESS, "success", "completed"),
        (None, FAILED, "skipped", "completed"),
        ("refuses", "always", "success", "completed"),
        ("refuses", SUCCESS, "skipped", "failed"),
        ("refuses", FAILED, "success", "completed"),
        ("drops the line", "always", "success", "running"),
        ("drops the line", SUCCESS, None, "running"),
        ("drops the line", FAILED, None, "running"),
    ],
)
async def test_a_condition_reads_what_became_of_the_action_before(world, first_answer, condition, second, execution):
    world.apply(flow_of("ai_call", ("email", condition)))
    world.contact()
    if first_answer:
        world.sandbox.inject(first_answer, at_request=1)
    await world.settle()
    world.pass_time(minutes=1)
    await world.settle()
    first, *rest = world.logs()
    assert first.status == {None: "success", "refuses": "failed", "drops the line": "unknown"}[first_answer]
    assert [log.status for log in rest] == ([second] if second else [])
    assert world.executions() == [execution]
    assert world.books().problems == ()


async def test_a_condition_looks_past_waits_and_skipped_actions(world):
    world.apply(flow_of("ai_call", ("whatsapp_message", FAILED), "wait", ("email", SUCCESS)))
    world.contact()
    await world.settle()
    world.pass_time(hours=1)
    await world.settle()
    assert world.statuses() == ["success", "skipped", "success", "success"]
    assert world.executions() == ["completed"]


async def test_a_wait_ends_when_its_time_has_passed_and_what_follows_is_sent_by_the_same_run(world):
    world.apply(flow_of("wait", "ai_call"))
    world.contact()
    await world.settle()
    waiting = world.only_log()
    assert (waiting.status, waiting.micro_batch_id) == ("pending", None)
    assert timedelta(minutes=59) < waiting.due_at - utc_now() <= timedelta(hours=1)
    assert world.executions() == ["running"], "a wait begins the moment it is written"

    world.pass_time(minutes=59)
    assert world.tick("due_actions") == []
    world.pass_time(minutes=1)
    batch = world.only_batch("due_actions")
    await world.run(batch, "due_actions")
    assert world.statuses() == ["success", "success"]
    assert world.executions() == ["completed"]


def test_what_follows_a_wait_joins_the_batch_that_ended_it(world):
    world.apply(flow_of("wait", "ai_call"))
    world.contact()
    lease = world.started()
    assert complete_waits(world.connection, lease, now=utc_now()) == 0
    assert complete_waits(world.connection, lease, now=utc_now() + timedelta(hours=1)) == 1
    wait, call = world.logs()
    assert (wait.status, wait.micro_batch_id) == ("success", None)
    assert (call.status, call.micro_batch_id) == ("pending", lease.work_id)


async def test_a_flow_of_waits_alone_completes(world):
    world.apply(flow_of("wait", "wait"))
    world.contact()
    await world.settle()
    for _ in range(2):
        assert world.executions() == ["running"]
        world.pass_time(hours=1)
        await world.settle()
    assert world.statuses() == ["success", "success"]
    assert world.executions() == ["completed"]


async def test_an_execution_is_pending_until_its_first_action_begins(world):
    world.apply(flow_of("ai_call"))
    world.contact()
    lease = world.started()
    assert world.executions() == ["pending"]
    await world.dispatch(lease)
    assert world.executions() == ["completed"]


async def test_an_execution_none_of_whose_actions_was_attempted_is_skipped(world):
    world.apply(flow_of("ai_call", ("whatsapp_message", SUCCESS)))
    contact_id = world.contact()
    lease = world.started()
    world.connection.execute("update contacts set phone_e164 = null where id = %s", [contact_id])
    await world.dispatch(lease)
    assert [(log.status, log.skip_reason) for log in world.logs()] == [
        ("skipped", "no_address"),
        ("skipped", "no_previous"),
    ]
    assert world.executions() == ["skipped"]


async def test_an_execution_runs_the_version_it_began_with(world):
    world.apply(flow_of("wait", "ai_call", "email"))
    world.contact()
    await world.settle()
    world.apply(flow_of("wait", "whatsapp_message"))
    world.contact()
    await world.settle()
    world.pass_time(hours=1)
    await world.settle()
    walks = world.connection.execute(
        "select flow_version, array_agg(action_type order by action_order), array_agg(action_id is null"
        " order by action_order) from flow_executions as executions inner join flow_action_logs as logs"
        " on logs.execution_id = executions.id group by 1 order by 1"
    ).fetchall()
    assert [walk[:2] for walk in walks] == [(1, ["wait", "ai_call", "email"]), (2, ["wait", "whatsapp_message"])]
    assert world.executions() == ["completed", "completed"]


OPEN_FROM_NINE_TO_FIVE = {
    "use_custom_business_hours": True,
    "business_hours_start": "09:00",
    "business_hours_end": "17:00",
    "business_hours_timezone": "America/New_York",
}
MONDAY_CLOSED = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)  # Sunday, 22:00 in New York
MONDAY_OPENING = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
MONDAY_CLOSING = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
TUESDAY_OPENING = MONDAY_OPENING + timedelta(days=1)


def test_an_action_that_comes_up_outside_business_hours_is_due_at_the_opening(world):
    world.apply(flow_of("ai_call", **OPEN_FROM_NINE_TO_FIVE))
    world.contact()
    lease = world.started(now=MONDAY_CLOSED)
    assert world.only_log().due_at == MONDAY_OPENING
    claim = claim_due(world.connection, lease, world.channel("ai_call"), world.settings, now=MONDAY_CLOSED)
    assert claim.row_count == 0
    assert world.executions() == ["pending"]


@pytest.mark.parametrize(
    ("at", "is_sent"),
    [
        (MONDAY_OPENING, True),
        (MONDAY_CLOSING - timedelta(seconds=1), True),
        (MONDAY_CLOSING, False),
        (MONDAY_CLOSING + timedelta(hours=3), False),
    ],
)
def test_an_action_whose_batch_runs_after_closing_time_is_put_off_to_the_next_opening(world, at, is_sent):
    world.apply(flow_of("ai_call", **OPEN_FROM_NINE_TO_FIVE))
    world.contact()
    lease = world.started(now=MONDAY_OPENING)
    claim = claim_due(world.connection, lease, world.channel("ai_call"), world.settings, now=at)
    log = world.only_log()
    if is_sent:
        assert (log.status, claim.deferred_count) == ("sending", 0)
    else:
        assert (log.status, log.due_at, log.micro_batch_id) == ("pending", TUESDAY_OPENING, None)
        assert (claim.deferred_count, claim.intents) == (1, [])
        assert world.executions() == ["pending"]


def test_business_hours_do_not_lengthen_a_wait(world):
    world.apply(flow_of("wait", "ai_call", **OPEN_FROM_NINE_TO_FIVE))
    world.contact()
    lease = world.started(now=MONDAY_CLOSED)
    assert world.only_log().due_at == MONDAY_CLOSED + timedelta(hours=1)
    complete_waits(world.connection, lease, now=MONDAY_CLOSED + timedelta(hours=1))
    assert world.logs()[1].due_at == MONDAY_OPENING


async def test_deferred_work_leaves_its_batch_and_returns_when_the_hours_open(world):
    opening = (utc_now() + timedelta(hours=2)).replace(second=0, microsecond=0)
    closing = opening + timedelta(hours=1)
    world.apply(
        flow_of(
            "email",
            use_custom_business_hours=True,
            business_hours_start=time(opening.hour, opening.minute),
            business_hours_end=time(closing.hour, closing.minute),
            business_hours_timezone="UTC",
            business_hours_overnight=closing.hour < opening.hour,
        )
    )
    world.contact()
    await world.settle()
    log = world.only_log()
    assert (log.status, log.due_at, log.micro_batch_id) == ("pending", opening, None)

    world.pass_time(hours=2)
    batch = world.only_batch("due_actions")
    await world.run(batch, "due_actions", clock=lambda: opening)
    assert world.statuses() == ["success"]


async def test_each_step_run_twice_changes_nothing(world):
    world.apply(flow_of("ai_call", ("email", SUCCESS), "wait", "whatsapp_message"))
    for _ in range(5):
        world.contact()
    world.sandbox.inject("refuses", at_request=2)
    batch = world.only_batch("new_contacts")
    lease = world.take(batch)

    async def twice(step):
        await step()
        once = world.everything()
        await step()
        assert world.everything() == once

    await twice(lambda: asyncio.to_thread(assign_batch, world.url, lease))
    await twice(lambda: asyncio.to_thread(start_executions, world.connection, lease, now=utc_now()))
    await twice(lambda: world.dispatch(lease))
    finish_batch(world.connection, lease)
    done = world.everything()
    await world.run(batch, "new_contacts")
    assert world.everything() == done
    assert len(world.effects()) == len(set(world.effects()))
