"""The rules of docs/execution.md, each on the ledger: hours, too late, pauses, one touch, turns, test runs."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from engage_pipeline.channels.answers import TryLater
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.batches import finish_batch, seconds_until_due
from engage_pipeline.execution.brake import pause, pauses, resume
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.errors import NoExecution, NotUnknown
from engage_pipeline.execution.ledger import Intent, _retry_delay
from engage_pipeline.execution.reading import ExecutionFilter, find_execution, list_executions
from engage_pipeline.execution.resolve import resolve_unknown
from engage_pipeline.execution.test_runs import start_test_run
from engage_pipeline.matching.explain import NoContact
from tests.integration.ledger_world import flow_of

NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
NINE_TO_FIVE = {
    "use_custom_business_hours": True,
    "business_hours": {"time_zone": "contact", "windows": [{"start": "09:00", "end": "17:00"}]},
}


def ends(world):
    return [(log.status, log.skip_reason) for log in world.logs()]


async def at(world, now):
    """The new contacts are started and what is due is sent, all at `now`."""
    lease = world.started(now=now)
    await world.dispatch(lease, clock=lambda: now)
    return lease


# Hours


async def test_an_action_waits_for_the_hours_of_its_flow_by_the_contacts_clock(world):
    world.apply(flow_of("email", **NINE_TO_FIVE))
    world.contact(time_zones=["Europe/London"])
    await at(world, NIGHT)
    log = world.only_log()
    assert (log.status, log.due_at, world.executions()) == ("pending", NIGHT.replace(hour=9), ["pending"])
    assert world.effects() == []


async def test_hours_are_read_again_before_every_send_and_not_only_when_the_action_is_written(world):
    world.apply(flow_of("email", **NINE_TO_FIVE))
    world.contact(time_zones=["Europe/London"])
    lease = world.started(now=NIGHT.replace(hour=12))
    world.connection.execute("update contacts set time_zones = '{Asia/Tokyo}'")
    await world.dispatch(lease, clock=lambda: NIGHT.replace(hour=12))
    assert world.only_log().due_at == datetime(2026, 11, 25, 0, 0, tzinfo=UTC)


async def test_outside_its_hours_an_action_is_skipped_where_the_flow_says_so(world):
    world.apply(flow_of("email", **NINE_TO_FIVE, outside_business_hours="skip"))
    world.contact(time_zones=["Europe/London"])
    await at(world, NIGHT)
    assert (ends(world), world.executions()) == ([("skipped", "outside_hours")], ["skipped"])


@pytest.mark.parametrize(
    ("channel", "status"), [("ai_call", "pending"), ("whatsapp_message", "pending"), ("email", "success")]
)
async def test_nobody_is_called_or_messaged_at_night_unless_a_sandbox_tenant_lifts_it(world, channel, status):
    world.apply(flow_of(channel))
    world.contact(time_zones=["Europe/London"])
    world.connection.execute("update users set legal_hours = true")
    lease = await at(world, NIGHT)
    assert world.statuses() == [status]
    world.connection.execute("update users set legal_hours = false")
    world.connection.execute("update flow_action_logs set due_at = %s, micro_batch_id = %s where status = 'pending'",
                             [NIGHT, lease.work_id])  # fmt: skip
    await world.dispatch(lease, clock=lambda: NIGHT)
    assert world.statuses() == ["success"]


async def test_a_live_account_puts_the_legal_hours_back(world):
    world.apply(flow_of("ai_call"))
    world.contact(time_zones=["Europe/London"])
    world.connection.execute(
        "insert into channel_accounts (user_id, channel, provider, mode, credentials, webhook_token_sha256)"
        " select id, 'email', 'resend', 'live', '', 'x' from users"
    )
    await at(world, NIGHT)
    assert (world.statuses(), world.only_log().due_at) == (["pending"], NIGHT.replace(hour=9))


async def test_hours_that_never_open_skip_the_action(world):
    late = {"time_zone": "contact", "windows": [{"start": "22:00", "end": "06:00"}]}
    world.apply(flow_of("ai_call", use_custom_business_hours=True, business_hours=late))
    world.contact(time_zones=["Europe/London"])
    world.connection.execute("update users set legal_hours = true")
    await at(world, NIGHT)
    assert ends(world) == [("skipped", "never_open")]


async def test_a_flow_without_hours_keeps_those_of_its_tenant(world):
    world.apply(flow_of("email"))
    world.contact()
    world.connection.execute(
        "update users set business_hours ="
        """ '{"time_zone": "UTC", "windows": [{"days": ["friday"], "start": "09:00", "end": "10:00"}]}'"""
    )
    await at(world, NIGHT)  # a Tuesday
    assert world.only_log().due_at == datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


# Waits, and too late


def test_a_wait_lasts_until_a_weekday_and_a_time_of_the_contact(world):
    until = {"until_weekday": "monday", "until_time": "08:30", "until_zone": "contact"}
    flow = flow_of("wait", "email")
    wait = flow.actions[0].model_copy(update={"action_config": until})
    world.apply(flow.model_copy(update={"actions": (wait, flow.actions[1])}))
    world.contact(time_zones=["America/New_York", "America/Chicago"])
    world.started(now=NIGHT)
    log = world.only_log()
    assert (log.due_at, world.executions()) == (datetime(2026, 11, 30, 14, 30, tzinfo=UTC), ["running"])


async def test_what_comes_too_late_is_skipped(world):
    world.apply(flow_of("ai_call", "email", expires_after_minutes=60))
    world.contact()
    lease = world.started()
    world.pass_time(minutes=61)
    await world.dispatch(lease)
    assert ends(world) == [("skipped", "expired"), ("success", None)]


async def test_a_wait_that_was_over_long_ago_makes_the_next_action_late(world):
    world.apply(flow_of("wait", "email", expires_after_minutes=60))
    world.contact()
    lease = world.started()
    world.pass_time(hours=3)
    await world.dispatch(lease)
    assert ends(world) == [("success", None), ("skipped", "expired")]


# Stops


async def test_due_logs_of_a_disabled_flow_leave_the_due_index_and_come_back_when_it_is_enabled(world):
    world.apply(flow_of("wait", "email"))
    world.contact()
    await world.settle()
    world.connection.execute("update auto_engagement_flows set is_enabled = false")
    world.pass_time(hours=2)
    assert world.tick("due_actions") == []
    parked = world.connection.execute("select is_parked, status from flow_action_logs").fetchall()
    assert parked == [(True, "pending")]
    world.connection.execute("update auto_engagement_flows set is_enabled = true")
    await world.settle()
    assert world.statuses() == ["success", "success"]


@pytest.mark.parametrize("scope", ["all", "tenant", "channel", "both"])
async def test_a_pause_stops_the_next_chunk_and_resuming_sends_what_is_due(world, scope):
    world.apply(flow_of("email"))
    world.contact()
    user_id = world.tenant.user_id if scope in ("tenant", "both") else None
    channel = "email" if scope in ("channel", "both") else None
    lease = world.started()
    assert pause(world.connection, user_id, channel, reason="a test")
    assert not pause(world.connection, user_id, channel, reason="again")
    await world.dispatch(lease)
    finish_batch(world.connection, lease)
    assert (world.statuses(), world.tick("due_actions")) == (["pending"], [])
    assert [(each.channel, each.reason) for each in pauses(world.connection)] == [(channel, "a test")]
    assert resume(world.connection, user_id, channel)
    assert not resume(world.connection, user_id, channel)
    await world.settle()
    assert world.statuses() == ["success"]


async def test_a_pause_of_another_channel_or_tenant_stops_nothing(world):
    world.apply(flow_of("email"))
    world.contact()
    other = world.insert("users", name="other")
    pause(world.connection, None, "ai_call", reason="a test")
    pause(world.connection, other, None, reason="a test")
    await world.settle()
    assert world.statuses() == ["success"]


# One address, one touch


@pytest.mark.parametrize("channel", ["email", "ai_call"])
async def test_of_two_contacts_with_one_address_the_second_is_skipped(world, channel):
    world.apply(flow_of(channel))
    shared = {"email": "both@example.com", "phone_e164": "+12025550199"}
    world.contact(**shared)
    world.contact(**shared)
    await world.settle()
    assert sorted(ends(world), key=str) == [("skipped", "same_address"), ("success", None)]
    assert len(world.effects()) == 1
    world.contact(**shared)
    await world.settle()
    assert len(world.effects()) == 1


async def test_an_address_is_free_again_when_its_flow_may_be_entered_again(world):
    world.apply(flow_of("email", reentry_after_days=30))
    world.contact(email="both@example.com")
    await world.settle()
    world.contact(email="both@example.com")
    world.connection.execute("update address_touches set held_until = now() - interval '1 second'")
    await world.settle()
    assert len(world.effects()) == 2


async def test_a_touch_that_was_skipped_after_all_is_given_away(world):
    world.apply(flow_of("email"))
    world.contact(email="both@example.com")
    world.sandbox.inject("defers")
    await world.settle()
    (execution,) = list_executions(world.connection, ExecutionFilter())
    with world.connection.transaction():
        cancel_executions(world.connection, [execution["execution_id"]], reason="cancelled", now=utc_now())
    world.sandbox.inject(None)
    world.contact(email="both@example.com")
    await world.settle()
    assert sorted(world.executions()) == ["cancelled", "completed"]


async def test_a_retry_is_no_second_touch(world):
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.inject("unavailable", at_request=1)
    await world.settle()
    world.pass_time(minutes=5)
    await world.settle()
    assert (world.statuses(), world.only_log().attempt_count) == (["success"], 2)


# Retries


async def test_every_attempt_stays_on_record(world):
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.inject("unavailable", at_request=1)
    await world.settle()
    world.pass_time(minutes=5)
    await world.settle()
    (execution,) = list_executions(world.connection, ExecutionFilter())
    (log,) = find_execution(world.connection, execution["execution_id"])["action_logs"]
    assert [(each["attempt"], each["answer"]) for each in log["attempts"]] == [(1, "pending"), (2, "success")]
    assert log["attempts"][0]["reason"]


def test_retries_are_spread_and_never_earlier_than_the_provider_asked():
    log_id = execution_id = None
    rng = random.Random(7)

    def delays(attempt, seconds):
        intent = Intent(log_id, execution_id, {}, utc_now(), attempt)
        return [_retry_delay(intent, TryLater("busy", seconds), rng).total_seconds() for _ in range(200)]

    asked = delays(1, 60.0)
    assert 60 <= min(asked) < 65 < 85 < max(asked) <= 90
    assert 20 <= min(delays(3, None)) <= max(delays(3, None)) <= 30
    assert max(delays(30, None)) <= 900 * 1.5


async def test_a_channel_may_have_a_limit_of_its_own(world):
    world.settings = world.settings.model_copy(update={"max_send_attempts_email": 1})
    world.apply(flow_of("email"))
    world.contact()
    world.sandbox.inject("defers")
    await world.settle()
    assert (world.statuses(), world.only_log().result_data["code"]) == (["failed"], "gave_up")


# Turns


def test_a_batch_takes_from_the_tenants_and_their_uploads_in_turn(world):
    world.settings = world.settings.model_copy(update={"batch_size": 6, "max_open_batches": 1})
    upload = world.insert("lead_uploads", user_id=world.tenant.user_id, file_name="a", inbox_path="a", status="loaded")
    bulk = [world.contact(upload_id=upload) for _ in range(8)]
    single = world.contact()
    other = world.insert("users", name="other")
    theirs = world.contact(user_id=other)
    world.tick("new_contacts")
    batched = {
        row[0]
        for row in world.connection.execute("select id from contacts where micro_batch_id is not null").fetchall()
    }
    assert batched == {*bulk[:4], single, theirs}


async def test_due_actions_take_turns_too(world):
    world.apply(flow_of("wait", "email"))
    for _ in range(4):
        world.contact()
    await world.settle()
    other = world.insert("users", name="other")
    # The last one by its due time belongs to somebody else.
    world.connection.execute(
        "with numbered as (select id, row_number() over (order by id) as number from flow_action_logs)"
        " update flow_action_logs as logs set due_at = now() - interval '1 hour' + number * interval '1 minute',"
        " user_id = case when number = 4 then %s else user_id end from numbered where numbered.id = logs.id",
        [other],
    )
    world.settings = world.settings.model_copy(update={"batch_size": 2, "max_open_batches": 1})
    world.tick("due_actions")
    held = world.connection.execute(
        "select user_id = %s, count(*) from flow_action_logs where micro_batch_id is not null group by 1 order by 1",
        [other],
    ).fetchall()
    assert held == [(False, 1), (True, 1)]


async def test_the_next_due_time_is_that_of_any_tenant(world):
    world.apply(flow_of("wait", "email"))
    world.contact()
    await world.settle()
    assert 3500 < seconds_until_due(world.connection) <= 3600


# By hand


async def test_a_person_resolves_what_nobody_knows(world):
    world.apply(flow_of("whatsapp_message", ("email", "if_previous_success")))
    world.contact()
    world.sandbox.inject("accepts then drops the line", at_request=1)
    await world.settle()
    world.pass_time(minutes=5)
    await world.settle()
    log = world.logs()[0]
    assert log.status == "unknown"
    assert [each["status"] for each in list_executions(world.connection, ExecutionFilter(unknown=True))] == ["running"]
    assert resolve_unknown(world.connection, log.id, "delivered", now=utc_now()) == "success"
    with pytest.raises(NotUnknown):
        resolve_unknown(world.connection, log.id, "failed", now=utc_now())
    await world.settle()
    assert (world.statuses(), world.executions()) == (["success", "success"], ["completed"])
    with pytest.raises(NoExecution):
        find_execution(world.connection, log.id)


# Test runs


async def test_a_test_run_takes_the_whole_path_and_reaches_nobody(world):
    (stored,) = world.apply(flow_of("ai_call", "wait", "whatsapp_message", "email"))
    contact_id = world.contact()
    await world.settle()
    before = len(world.effects())
    execution_id = start_test_run(world.connection, stored, contact_id, now=utc_now())
    await world.settle()
    world.pass_time(hours=2)
    await world.settle()
    found = find_execution(world.connection, execution_id)
    assert (found["status"], found["is_test_run"]) == ("completed", True)
    assert [log["status"] for log in found["action_logs"]] == ["success"] * 4
    assert all(log["provider_message_id"].startswith("recorded-") for log in found["action_logs"] if log["attempts"])
    assert len(world.effects()) == before + 2  # the real execution's message and e-mail, after its own wait
    assert world.books().problems == ()


async def test_a_test_run_obeys_the_stops(world):
    (stored,) = world.apply(flow_of("email"))
    contact_id = world.contact(tags=["dnc"])
    start_test_run(world.connection, stored, contact_id, now=utc_now())
    await world.settle()
    assert ends(world) == [("skipped", "dnc")]
    with pytest.raises(NoContact):
        start_test_run(world.connection, stored, stored.flow_id, now=utc_now() + timedelta(1))
