"""Waiting for work: a notice ends the wait, and what brings work gives notice."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engage_pipeline.database.connections import connect
from engage_pipeline.database.notices import await_work, end_waits
from engage_pipeline.execution.batches import finish_batch, form_batches, seconds_until_due
from tests.integration.ledger_world import flow_of


def test_it_looks_once_when_it_may_not_wait(connection):
    looks = []
    assert await_work(connection, "due_actions", lambda: looks.append(1) or (), seconds=0, pause=lambda: math.inf) == ()
    assert len(looks) == 1


def test_a_contact_that_arrives_during_the_wait_ends_it(world):
    def tick():
        with connect(world.url) as connection:
            look = lambda: form_batches(connection, "new_contacts", world.settings)  # noqa: E731
            return await_work(connection, "new_contacts", look, seconds=30, pause=lambda: math.inf)

    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(tick)
        world.contact()
        assert len(waiting.result()) == 1
    assert time.monotonic() - began < 15


def test_who_waits_can_be_told_to_end(world):
    def tick(channel):
        with connect(world.url) as connection:
            return await_work(
                connection, channel, lambda: looked.append(channel) or (), seconds=30, pause=lambda: math.inf
            )

    looked = []
    channels = ("lead_uploads", "new_contacts", "due_actions")
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(tick, channel) for channel in channels]
        while set(looked) < set(channels):
            time.sleep(0.01)
        end_waits(world.connection)
        assert [each.result() for each in waiting] == [(), (), ()]
    assert time.monotonic() - began < 15


def test_it_looks_again_after_a_pause_without_a_notice(connection):
    found = iter([(), (), ("a file",)])
    assert await_work(connection, "lead_uploads", lambda: next(found), seconds=30, pause=lambda: 0.01) == ("a file",)


@pytest.fixture
def heard(world):
    """The channels that were notified since the last call."""
    with connect(world.url) as connection:
        for channel in ("new_contacts", "due_actions", "lead_uploads"):
            connection.execute(f"listen {channel}")
        yield lambda: {notice.channel for notice in connection.notifies(timeout=0.2)}


def test_what_brings_work_gives_notice_and_a_run_at_work_does_not(world, heard):
    (flow,) = world.apply(flow_of("ai_call", "wait"))
    world.contact()
    assert heard() == {"new_contacts"}
    lease = world.started()
    assert heard() == set()
    finish_batch(world.connection, lease)
    assert heard() == {"new_contacts", "due_actions"}
    world.connection.execute("update auto_engagement_flows set is_enabled = false where id = %s", [flow.flow_id])
    assert heard() == set()
    world.connection.execute("update auto_engagement_flows set is_enabled = true where id = %s", [flow.flow_id])
    assert heard() == {"due_actions"}
    world.connection.execute("update contacts set micro_batch_id = null")
    assert heard() == {"new_contacts"}


def test_the_next_due_time_is_that_of_logs_in_no_batch(world):
    assert seconds_until_due(world.connection) == math.inf
    world.apply(flow_of("wait"))
    world.contact()
    lease = world.started()
    assert seconds_until_due(world.connection) == math.inf
    finish_batch(world.connection, lease)
    assert 3500 < seconds_until_due(world.connection) <= 3600
