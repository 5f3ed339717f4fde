"""One send from claim to record: what is stored before it, and how every answer of a provider ends."""

import asyncio
import time
from datetime import timedelta

import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.execution.ledger import claim_due
from tests.integration.ledger_world import CHANNELS, QUICK, flow_of

HANGING = QUICK.model_copy(update={"request_timeout_seconds": 1.0})


async def _until_requested(world, count=1):
    deadline = time.monotonic() + 5
    while len(world.sandbox.headers_received) < count:
        assert time.monotonic() < deadline, "nothing was sent"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_the_intent_is_committed_before_the_request_goes_out(world, channel):
    world.settings = HANGING
    world.apply(flow_of(channel))
    world.contact(first_name="Asha")
    lease = world.started()
    before = utc_now()
    world.sandbox.inject("hangs")
    sending = asyncio.create_task(world.dispatch(lease, channels=[channel]))
    await _until_requested(world)

    log = world.only_log()
    assert (log.status, log.attempt_count, log.micro_batch_id) == ("sending", 1, lease.work_id)
    assert str(log.id) in str(log.request)
    assert before <= log.executed_at <= utc_now()
    reconcile_after = timedelta(seconds=world.settings.send_seconds + world.settings.request_timeout_seconds)
    assert log.due_at > log.executed_at + reconcile_after
    assert world.executions() == ["running"]
    assert world.effects() == []
    await sending
    assert world.statuses() == ["sending"], "nobody knows, so it is asked about"


async def test_an_accepted_request_succeeds_with_the_providers_id(world):
    world.apply(flow_of(*CHANNELS))
    world.contact()
    await world.settle()
    logs = world.logs()
    assert [(log.status, log.due_at, log.micro_batch_id) for log in logs] == [("success", None, None)] * 3
    assert [(str(log.id), log.provider_message_id) for log in logs] == list(world.sandbox.effects())
    assert all(log.completed_at >= log.executed_at for log in logs)
    assert world.executions() == ["completed"]
    assert world.books().problems == ()


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_refused_request_fails_and_is_not_sent_again(world, channel):
    world.apply(flow_of(channel))
    world.contact()
    world.sandbox.inject("refuses")
    await world.settle()
    log = world.only_log()
    assert (log.status, log.attempt_count, log.provider_message_id) == ("failed", 1, None)
    assert log.outcome == "refused"
    assert log.error_message
    assert world.executions() == ["failed"]
    assert len(world.sandbox.headers_received) == 1


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_request_that_is_put_off_is_due_when_the_provider_says_and_then_sent_once(world, channel):
    world.apply(flow_of(channel))
    world.contact()
    world.sandbox.inject("unavailable", at_request=1)
    await world.settle()
    put_off = world.only_log()
    assert (put_off.status, put_off.attempt_count, put_off.micro_batch_id) == ("pending", 1, None)
    assert timedelta(seconds=6) < put_off.due_at - utc_now() <= timedelta(seconds=7 * 1.5)
    assert world.executions() == ["running"]
    assert world.tick("due_actions") == []

    world.pass_time(seconds=11)
    await world.settle()
    log = world.only_log()
    assert (log.status, log.attempt_count, log.error_message) == ("success", 2, None)
    assert world.effects() == [str(log.id)]
    assert world.books().problems == ()


@pytest.mark.parametrize("channel", CHANNELS)
async def test_an_action_that_is_put_off_again_and_again_fails_after_the_last_attempt(world, channel):
    world.apply(flow_of(channel))
    world.contact()
    world.sandbox.inject("defers")
    for attempt in range(1, world.settings.max_send_attempts + 1):
        await world.settle()
        assert world.only_log().attempt_count == attempt
        world.pass_time(hours=1)
    await world.settle()
    log = world.only_log()
    assert (log.status, log.attempt_count) == ("failed", world.settings.max_send_attempts)
    assert (log.outcome, log.result_data) == ("refused", {"code": "gave_up"})
    assert world.executions() == ["failed"]
    assert world.effects() == []


async def test_without_a_named_time_the_delay_doubles_from_one_attempt_to_the_next(world):
    world.apply(flow_of("ai_call"))
    world.contact()
    world.sandbox.stop()
    delays = []
    for _ in range(2):
        await world.settle()
        delays.append((world.only_log().due_at - utc_now()).total_seconds())
        world.pass_time(minutes=1)
    assert [4 < delays[0] <= 7.5, 9 < delays[1] <= 15] == [True, True]
    world.sandbox.start()
    await world.settle()
    assert world.statuses() == ["success"]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        ("accepts then drops the line", True),
        ("drops the line", False),
        ("html", False),
        ("200 with error body", False),
        ("hangs", False),
        ("accepts then hangs", True),
    ],
)
async def test_an_answer_that_nobody_can_read_is_asked_about_and_not_simply_repeated(world, channel, fault, arrived):
    world.settings = HANGING
    world.apply(flow_of(channel))
    world.contact()
    world.sandbox.inject(fault)
    await world.settle()
    log = world.only_log()
    assert (log.status, log.attempt_count, log.provider_message_id) == ("sending", 1, None)
    assert world.executions() == ["running"]

    world.sandbox.inject(None)
    for _ in range(3):
        world.pass_time(hours=1)
        await world.settle()
    log = world.only_log()
    # Bolna can be asked, Resend takes the same key again, and WhatsApp can do neither.
    known = {"ai_call": arrived, "email": True, "whatsapp_message": False}[channel]
    assert (log.status, log.attempt_count) == ("success" if known else "unknown", 1)
    assert world.effects() == [str(log.id)] * (arrived or channel == "email")
    assert world.books().problems == ()
    if not known:
        assert timedelta(days=6, hours=21) < log.due_at - utc_now() <= timedelta(days=7)
        assert world.executions() == ["running"]


async def test_an_unknown_result_that_nobody_resolves_closes_as_failed_after_seven_days(world):
    world.apply(flow_of("whatsapp_message", ("email", "if_previous_success"), ("ai_call", "if_previous_failed")))
    world.contact()
    world.sandbox.inject("drops the line", at_request=1)
    await world.settle()
    world.pass_time(minutes=1)
    await world.settle()
    assert world.statuses() == ["unknown"]

    world.pass_time(days=7)
    await world.settle()
    closed, skipped, called = world.logs()
    assert (closed.status, closed.due_at, closed.outcome) == ("failed", None, "expired")
    assert (skipped.status, skipped.skip_reason) == ("skipped", "previous_failed")
    assert called.status == "success"
    assert world.effects() == [str(called.id)]
    assert world.executions() == ["completed"]


@pytest.mark.parametrize("later_fault", ["accepts then fails", "defers", "refuses"])
async def test_an_email_that_may_have_gone_out_is_never_called_refused(world, later_fault):
    """Resend may answer 500 after it has acted. The key makes asking again harmless, but a refusal then says nothing
    about the first request."""
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.behave(faults={1: "accepts then fails"}, fault_of_all=later_fault)
    for _ in range(2 * world.settings.max_send_attempts):
        await world.settle()
        world.pass_time(hours=1)
    # A day later Resend has forgotten the key, and nobody asks again.
    world.connection.execute("update flow_action_logs set executed_at = executed_at - interval '1 day'")
    await world.settle()
    assert world.statuses() == ["unknown"]
    assert world.only_log().attempt_count == 1
    assert world.effects() == [str(world.only_log().id)]
    assert world.books().problems == ()


@pytest.mark.parametrize(
    "stop",
    [
        "update contacts set tags = '{dnc}'",
        "update auto_engagement_flows set is_enabled = false",
        "insert into suppressions (user_id, channel, address, source) select user_id, 'email', email, '' from contacts",
    ],
)
async def test_an_email_that_may_have_gone_out_is_not_asked_about_by_sending_once_a_stop_stands(world, stop):
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.inject("accepts then fails")
    await world.settle()
    world.connection.execute(stop)
    world.pass_time(hours=1)
    await world.settle()
    assert world.statuses() == ["unknown"]
    assert len(world.sandbox.headers_received) == 1
    assert world.books().problems == ()


async def test_a_result_that_expired_still_counts_in_the_books(world):
    world.apply(flow_of("whatsapp_message"))
    world.contact()
    world.sandbox.inject("accepts then drops the line")
    for days in (0, 1, 7):
        world.pass_time(days=days)
        await world.settle()
    assert world.statuses() == ["failed"]
    assert world.books().problems == ()


async def test_an_email_that_met_an_error_after_it_went_out_is_accepted_when_it_is_asked_about(world):
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.inject("accepts then fails", at_request=1)
    await world.settle()
    world.pass_time(hours=1)
    await world.settle()
    log = world.only_log()
    assert log.status == "success"
    assert world.sandbox.effects() == [(str(log.id), log.provider_message_id)]
    assert world.sandbox.read().replayed_count == 1


async def test_one_bad_answer_leaves_the_rest_of_the_chunk_alone(world):
    world.apply(flow_of("ai_call"))
    contacts = [world.contact() for _ in range(12)]
    world.sandbox.behave(faults={3: "refuses", 5: "drops the line", 8: "unavailable", 9: "html"})
    await world.settle()
    assert sorted(world.statuses()) == sorted(["success"] * 8 + ["failed", "sending", "sending", "pending"])
    assert len(world.effects()) == len(set(world.effects())) == len(contacts) - 4
    assert world.books().problems == ()


async def test_more_actions_than_a_chunk_are_all_sent_once_oldest_first(world):
    world.settings = QUICK.model_copy(update={"chunk_size": 7})
    world.apply(flow_of("ai_call"))
    for _ in range(20):
        world.contact()
    await world.settle()
    assert world.statuses() == ["success"] * 20
    assert len(set(world.effects())) == 20


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_worker_that_was_frozen_past_the_deadline_does_not_send(world, channel):
    world.apply(flow_of(channel))
    world.contact()
    lease = world.started()
    claimed_at = utc_now()
    # The clock as the worker reads it: twice before the claim, then after it was frozen for a minute.
    readings = iter([claimed_at, claimed_at, claimed_at])

    def clock():
        return next(readings, claimed_at + timedelta(minutes=1))

    await world.dispatch(lease, channels=[channel], clock=clock)
    log = world.only_log()
    assert (log.status, log.attempt_count) == ("pending", 1)
    assert world.sandbox.headers_received == []


def test_a_claim_takes_what_is_due_and_nothing_twice(world):
    world.settings = QUICK.model_copy(update={"chunk_size": 2})
    world.apply(flow_of("ai_call"))
    for _ in range(3):
        world.contact()
    lease = world.started()
    claimed = []
    with connect(world.url) as connection:
        for expected in (2, 1, 0):
            claim = claim_due(connection, lease, world.channel("ai_call"), world.settings, now=utc_now())
            assert (claim.row_count, len(claim.intents)) == (expected, expected)
            claimed += [intent.action_log_id for intent in claim.intents]
    assert sorted(claimed) == sorted(log.id for log in world.logs())


async def test_an_address_of_the_wrong_kind_is_skipped_and_the_flow_goes_on(world):
    world.apply(flow_of("ai_call", "whatsapp_message", ("email", "always")))
    world.contact(phone_e164=None)
    await world.settle()
    assert [(log.status, log.skip_reason) for log in world.logs()] == [
        ("skipped", "no_address"),
        ("skipped", "no_address"),
        ("success", None),
    ]
    assert world.executions() == ["completed"]


async def test_a_request_is_frozen_with_its_intent(world):
    world.apply(flow_of("email"))
    contact_id = world.contact(email="before@example.com")
    lease = world.started()
    with connect(world.url) as connection:
        (intent,) = claim_due(connection, lease, world.channel("email"), world.settings, now=utc_now()).intents
    world.connection.execute("update contacts set email = 'after@example.com' where id = %s", [contact_id])
    assert world.only_log().request == intent.request
    assert intent.request["to"] == ["before@example.com"]
