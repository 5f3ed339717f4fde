"""Stops: everything that must keep a due action from being sent, before the claim and in the middle of it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.execution.cancel import cancel_executions, cancel_executions_of_flow
from engage_pipeline.execution.ledger import claim_due, complete_waits
from engage_pipeline.execution.start import start_executions
from engage_pipeline.flows.store import delete_flow
from engage_pipeline.matching.batch import assign_batch
from tests.integration.ledger_world import CHANNELS, flow_of


def tag_dnc(connection):
    connection.execute("update contacts set tags = '{VIP,\"Do Not Contact\"}'")


def suppress(channel):
    def stop(connection):
        connection.execute(
            "insert into suppressions (user_id, channel, address, source)"
            " select user_id, %(channel)s, case when %(channel)s = 'email' then email else phone_e164 end, 'test'"
            " from contacts",
            {"channel": channel},
        )

    return stop


def disable(connection):
    connection.execute("update auto_engagement_flows set is_enabled = false")


def enable(connection):
    connection.execute("update auto_engagement_flows set is_enabled = true")


def cancel(connection):
    with connection.transaction():
        execution_ids = [row[0] for row in connection.execute("select id from flow_executions").fetchall()]
        cancel_executions(connection, execution_ids, reason="by_hand", now=utc_now())


STOPS = [
    pytest.param(tag_dnc, [("skipped", "dnc")], ["cancelled"], id="do not contact"),
    pytest.param(suppress("ai_call"), [("skipped", "suppressed")], ["skipped"], id="suppressed"),
    pytest.param(disable, [("pending", None)], ["pending"], id="flow disabled"),
    pytest.param(cancel, [("skipped", "by_hand")], ["cancelled"], id="cancelled"),
]


def ends(world):
    return [(log.status, log.skip_reason) for log in world.logs()]


@pytest.mark.parametrize(("stop", "logs", "executions"), STOPS)
async def test_a_stop_before_the_claim_is_obeyed(world, stop, logs, executions):
    world.apply(flow_of("ai_call"))
    world.contact()
    lease = world.started()
    stop(world.connection)
    await world.dispatch(lease)
    assert ends(world) == logs
    assert world.executions() == executions
    assert world.sandbox.headers_received == []


@contextmanager
def between_select_and_mark(world) -> Iterator[list]:
    """A claim runs in a thread and has selected its logs when the block begins; it marks them after the block.

    Between the two it notes which addresses it will touch, and waits here for the lock on that table.
    """
    lease = world.started()
    claims = []

    def claim():
        with connect(world.url, application_name="the claim") as connection:
            claims.append(claim_due(connection, lease, world.channel("ai_call"), world.settings, now=utc_now()))

    thread = threading.Thread(target=claim)
    with connect(world.url) as gate:
        with gate.transaction():
            gate.execute("lock table address_touches in access exclusive mode")
            thread.start()
            _until_waiting(world, "the claim")
            yield claims
        thread.join(10)
    assert len(claims) == 1


def _until_waiting(world, application_name):
    deadline = time.monotonic() + 10
    waiting = "select 1 from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    while world.connection.execute(waiting, [application_name]).fetchone() is None:
        assert time.monotonic() < deadline, f"{application_name} does not wait"
        time.sleep(0.01)


@pytest.mark.parametrize(("stop", "logs", "executions"), STOPS[:3])
async def test_a_stop_between_select_and_mark_is_obeyed(world, stop, logs, executions):
    world.apply(flow_of("ai_call"))
    world.contact()
    with between_select_and_mark(world) as claims:
        stop(world.connection)
    assert (claims[0].row_count, claims[0].intents) == (1, [])
    assert ends(world) == [("pending", None)]

    await world.dispatch(_lease(world))
    assert ends(world) == logs
    assert world.executions() == executions
    assert world.sandbox.headers_received == []


def _lease(world):
    row = world.connection.execute("select id, lease_token from micro_batches").fetchone()
    return Lease("micro_batches", *row)


def test_a_cancellation_in_the_middle_of_a_claim_waits_for_it_and_neither_fails(world):
    world.apply(flow_of("ai_call", "email"))
    for _ in range(5):
        world.contact()
    failures = []

    def cancel_all():
        try:
            with connect(world.url, application_name="the cancellation") as connection:
                cancel(connection)
        except psycopg.Error as error:
            failures.append(error)

    cancelling = threading.Thread(target=cancel_all)
    with between_select_and_mark(world) as claims:
        cancelling.start()
        _until_waiting(world, "the cancellation")
    cancelling.join(10)
    assert failures == []
    assert len(claims[0].intents) == 5
    assert ends(world) == [("sending", None)] * 5
    assert world.executions() == ["cancelled"] * 5


def test_a_cancellation_while_waits_end_waits_for_them_and_neither_fails(world):
    world.apply(flow_of("wait", "email"))
    for _ in range(5):
        world.contact()
    lease = world.started()
    world.pass_time(hours=1)
    outcomes = []

    def run(name, step):
        with connect(world.url, application_name=name) as connection:
            try:
                step(connection)
                outcomes.append(None)
            except psycopg.Error as error:
                outcomes.append(error)

    steps = {
        "the waits": lambda connection: complete_waits(connection, lease, now=utc_now()),
        "the cancellation": cancel,
    }
    threads = [threading.Thread(target=run, args=item) for item in steps.items()]
    with connect(world.url) as gate:
        with gate.transaction():
            gate.execute("lock table users in access exclusive mode")
            for thread, name in zip(threads, steps, strict=True):
                thread.start()
                _until_waiting(world, name)
        for thread in threads:
            thread.join(10)
    assert outcomes == [None, None]
    assert world.executions() == ["cancelled"] * 5
    assert ends(world) == [("success", None), ("skipped", "by_hand")] * 5


async def _cancelled_while_sending(world, fault, channel="ai_call"):
    world.settings = world.settings.model_copy(update={"request_timeout_seconds": 1.0})
    world.apply(flow_of(channel, "email"))
    world.contact()
    lease = world.started()
    world.sandbox.behave(latency_ms=300, fault_of_all=fault)
    sending = asyncio.create_task(world.dispatch(lease))
    deadline = time.monotonic() + 5
    while world.statuses() != ["sending"]:
        assert time.monotonic() < deadline, "nothing was claimed"
        await asyncio.sleep(0.01)
    cancel(world.connection)
    await sending
    world.pass_time(minutes=1)
    await world.settle()


async def test_an_email_that_may_have_gone_out_when_its_execution_was_cancelled_is_unknown(world):
    await _cancelled_while_sending(world, "accepts then fails", "email")
    assert ends(world) == [("unknown", None)]
    assert world.books().problems == ()


@pytest.mark.parametrize(
    ("fault", "status", "skip_reason"),
    [
        (None, "success", None),
        ("refuses", "failed", None),
        ("drops the line", "unknown", None),
        ("defers", "skipped", "cancelled"),
    ],
)
async def test_a_request_on_its_way_keeps_its_course_when_the_execution_is_cancelled(world, fault, status, skip_reason):
    await _cancelled_while_sending(world, fault)
    assert ends(world) == [(status, skip_reason)], "nothing follows, and nothing stays pending that nobody will send"
    assert world.executions() == ["cancelled"]
    assert world.books().problems == ()


async def test_a_disabled_flow_pauses_and_goes_on_where_it_was(world):
    world.apply(flow_of("ai_call", "wait", "email"))
    world.contact()
    await world.settle()
    disable(world.connection)
    world.pass_time(hours=1)
    await world.settle()
    assert world.statuses() == ["success", "pending"]
    assert world.tick("due_actions") == []

    enable(world.connection)
    await world.settle()
    assert world.statuses() == ["success", "success", "success"]
    assert world.executions() == ["completed"]


async def test_a_flow_disabled_while_its_batch_is_open_keeps_its_actions_pending(world):
    world.apply(flow_of("ai_call"))
    world.contact()
    batch = world.only_batch("new_contacts")
    assign_batch(world.url, lease := world.take(batch))
    start_executions(world.connection, lease, now=utc_now())
    disable(world.connection)
    await world.dispatch(lease)
    world.let_leases_lapse()
    await world.settle()
    log = world.only_log()
    assert (log.status, log.micro_batch_id) == ("pending", None)
    enable(world.connection)
    await world.settle()
    assert world.statuses() == ["success"]


async def test_a_deleted_flow_sends_nothing_more_and_its_history_stays(world):
    (flow,) = world.apply(flow_of("ai_call", "wait", "email"))
    world.contact()
    await world.settle()
    delete_flow(world.connection, world.tenant, "Welcome")
    assert cancel_executions_of_flow(world.connection, flow.flow_id, now=utc_now()) == 1
    assert cancel_executions_of_flow(world.connection, flow.flow_id, now=utc_now()) == 0
    world.pass_time(hours=1)
    await world.settle()
    assert ends(world) == [("success", None), ("skipped", "flow_deleted")]
    assert world.executions() == ["cancelled"]
    assert len(world.effects()) == 1
    assert world.books().problems == ()


async def test_a_flow_deleted_between_assignment_and_start_leaves_no_execution_open(world):
    (flow,) = world.apply(flow_of("ai_call"))
    world.contact()
    lease = world.take(world.only_batch("new_contacts"))
    assign_batch(world.url, lease)
    delete_flow(world.connection, world.tenant, "Welcome")
    cancel_executions_of_flow(world.connection, flow.flow_id, now=utc_now())
    start_executions(world.connection, lease, now=utc_now())
    await world.dispatch(lease)
    assert world.executions() == ["cancelled"]
    assert ends(world) == [("skipped", "flow_deleted")]
    assert world.sandbox.headers_received == []


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_suppression_is_for_its_own_channel_and_tenant(world, channel):
    world.apply(flow_of(*CHANNELS))
    world.contact()
    lease = world.started()
    suppress(channel)(world.connection)
    other = world.insert("users", name="umbrella")
    world.connection.execute(
        "insert into suppressions (user_id, channel, address, source)"
        " select %s, unnest(array['ai_call', 'whatsapp_message', 'email']), phone_e164, 'test' from contacts",
        [other],
    )
    await world.dispatch(lease)
    assert {log.action_type: log.status for log in world.logs()} == {
        **dict.fromkeys(CHANNELS, "success"),
        channel: "skipped",
    }
    assert world.executions() == ["completed"]


async def test_do_not_contact_cancels_what_comes_after_a_wait(world):
    world.apply(flow_of("ai_call", "wait", "email"))
    world.contact()
    await world.settle()
    tag_dnc(world.connection)
    world.pass_time(hours=1)
    await world.settle()
    assert ends(world) == [("success", None), ("success", None), ("skipped", "dnc")]
    assert world.executions() == ["cancelled"]
    assert len(world.effects()) == 1
