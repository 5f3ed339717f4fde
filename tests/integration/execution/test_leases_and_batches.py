"""Batches and their leases: forming, dying workers, newer attempts, and that nothing happens twice because of them."""

import threading
from datetime import timedelta

import pytest

from engage_pipeline.channels.answers import Accepted
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.errors import LeaseLost
from engage_pipeline.execution.batches import finish_batch, form_batches, retry_batch
from engage_pipeline.execution.ledger import claim_due, close_expired, complete_waits, record_answers, select_lost
from engage_pipeline.execution.start import start_executions
from engage_pipeline.matching.batch import assign_batch
from tests.integration.ledger_world import CHANNELS, QUICK, flow_of


def claim(world, lease, channel):
    """A worker's claim, and nothing after it: the worker dies here."""
    with connect(world.url) as connection:
        return claim_due(connection, lease, world.channel(channel), world.settings, now=utc_now()).intents


async def send(world, channel, intents):
    """The requests of a claim go out, and their answers are never recorded: the worker dies here."""
    async with world.client() as client:
        return [
            (intent, await world.channel(channel).send(client, intent.request, reference=str(intent.action_log_id)))
            for intent in intents
        ]


def reopened(world):
    """The attempt that a tick asks for once the lease of a dead worker has lapsed."""
    world.let_leases_lapse()
    return world.only_batch("new_contacts")


async def test_a_worker_whose_lease_lapsed_can_write_nothing_and_send_nothing_more(world):
    world.apply(flow_of("ai_call", "email"))
    world.contact()
    lease = world.started()
    answers = await send(world, "ai_call", claim(world, lease, "ai_call"))
    world.take(reopened(world))
    before = world.everything()
    now = utc_now()
    writes = [
        lambda: record_answers(world.connection, lease, world.channel("email"), answers, world.settings, now=now),
        lambda: claim_due(world.connection, lease, world.channel("email"), world.settings, now=now),
        lambda: select_lost(world.connection, lease, world.channel("email"), world.settings, now=now),
        lambda: complete_waits(world.connection, lease, now=now),
        lambda: close_expired(world.connection, lease, now=now),
        lambda: start_executions(world.connection, lease, now=now),
        lambda: assign_batch(world.url, lease),
        lambda: finish_batch(world.connection, lease),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    with pytest.raises(LeaseLost):
        await world.dispatch(lease)
    assert world.everything() == before
    assert len(world.effects()) == 1


@pytest.mark.parametrize(
    ("channel", "was_sent", "status"),
    [
        ("ai_call", True, "success"),
        ("ai_call", False, "unknown"),
        ("email", True, "success"),
        ("email", False, "success"),
        ("whatsapp_message", True, "unknown"),
        ("whatsapp_message", False, "unknown"),
    ],
)
async def test_a_lost_answer_is_looked_up_after_its_deadline_and_gives_one_effect(world, channel, was_sent, status):
    world.apply(flow_of(channel))
    world.contact()
    intents = claim(world, world.started(), channel)
    if was_sent:
        await send(world, channel, intents)

    await world.run(reopened(world), "new_contacts")
    early = world.only_log()
    assert (early.status, early.micro_batch_id) == ("sending", None), "nobody asks before the deadline"
    assert world.tick("due_actions") == []

    world.pass_time(seconds=world.settings.send_seconds + world.settings.request_timeout_seconds + 6)
    await world.settle()
    log = world.only_log()
    assert (log.status, log.attempt_count) == (status, 1)
    expected = 1 if was_sent or status == "success" else 0
    assert world.effects() == [str(log.id)] * expected
    assert world.sandbox.read().replayed_count == (channel == "email" and was_sent)
    assert world.books().problems == ()


async def test_an_email_whose_key_has_expired_is_not_sent_again(world):
    world.apply(flow_of("email"))
    world.contact()
    await send(world, "email", claim(world, world.started(), "email"))
    await world.run(reopened(world), "new_contacts")
    world.pass_time(days=1)
    world.connection.execute("update flow_action_logs set executed_at = executed_at - interval '1 day'")
    await world.settle()
    assert world.statuses() == ["unknown"]
    assert len(world.effects()) == 1


async def test_an_unknown_result_closes_in_its_time_even_when_the_execution_was_cancelled(world):
    world.apply(flow_of("whatsapp_message", "email"))
    world.contact()
    claim(world, world.started(), "whatsapp_message")
    world.connection.execute("update flow_executions set status = 'cancelled'")
    await world.run(reopened(world), "new_contacts")
    world.pass_time(minutes=1)
    await world.settle()
    assert world.statuses() == ["unknown"]
    world.pass_time(days=7)
    await world.settle()
    assert world.statuses() == ["failed"]
    assert world.executions() == ["cancelled"]


async def test_a_batch_that_died_at_any_step_is_finished_by_its_next_attempt(world):
    world.apply(flow_of("ai_call", ("email", "if_previous_success")))
    for step in range(4):
        world.contact()
        lease = world.take(world.only_batch("new_contacts"))
        if step >= 1:
            assign_batch(world.url, lease)
        if step >= 2:
            start_executions(world.connection, lease, now=utc_now())
        if step >= 3:
            await world.dispatch(lease, channels=["ai_call"])
        await world.run(reopened(world), "new_contacts")
        assert world.executions() == ["completed"] * (step + 1)
    assert len(world.effects()) == len(set(world.effects())) == 8
    assert world.books().problems == ()


async def test_what_a_batch_could_not_send_yet_is_let_go_when_it_closes(world):
    world.apply(flow_of("email", "ai_call"))
    world.contact()
    batch = world.only_batch("new_contacts")
    await world.run(batch, "new_contacts")
    sent, following = world.logs()
    assert (sent.status, following.status, following.micro_batch_id) == ("success", "pending", None)
    await world.run(world.only_batch("due_actions"), "due_actions")
    assert world.statuses() == ["success", "success"]


def test_two_ticks_at_once_put_no_contact_in_two_batches_and_leave_none_out(world):
    world.settings = QUICK.model_copy(update={"batch_size": 10, "max_open_batches": 100})
    for _ in range(200):
        world.contact()
    barrier = threading.Barrier(2)
    formed = []

    def tick():
        with connect(world.url) as connection:
            barrier.wait(10)
            formed.append(form_batches(connection, "new_contacts", world.settings))

    ticks = [threading.Thread(target=tick) for _ in range(2)]
    for each in ticks:
        each.start()
    for each in ticks:
        each.join(30)
    assert len(formed) == 2
    held = world.connection.execute(
        "select batches.item_count, count(contacts.id) from micro_batches as batches"
        " left join contacts on contacts.micro_batch_id = batches.id group by batches.id"
    ).fetchall()
    assert all(item_count == count > 0 for item_count, count in held)
    assert sum(count for _, count in held) == 200
    assert {batch.batch_id for each in formed for batch in each} == {
        row[0] for row in world.connection.execute("select id from micro_batches").fetchall()
    }


def test_a_tick_skips_the_contacts_that_another_one_holds(world):
    for _ in range(3):
        world.contact()
    with connect(world.url) as other, other.transaction():
        other.execute("select id from contacts order by id limit 2 for update")
        (batch,) = world.tick("new_contacts")
        assert batch.item_count == 1


def test_while_a_small_batch_waits_only_full_ones_are_added(world):
    world.settings = QUICK.model_copy(update={"batch_size": 3})
    sizes = []
    for count in (2, 1, 1, 1, 4):
        for _ in range(count):
            world.contact()
        sizes.append([batch.item_count for batch in world.tick("new_contacts")])
    assert sizes == [[2], [2], [2], [2, 3], [2, 3, 3]]
    for batch in world.tick("new_contacts"):
        world.take(batch)
    assert [batch.item_count for batch in world.tick("new_contacts")] == [1]


async def test_no_more_batches_are_open_than_allowed(world):
    world.settings = QUICK.model_copy(update={"batch_size": 2, "max_open_batches": 3})
    world.apply(flow_of("ai_call"))
    for _ in range(9):
        world.contact()
    first, *_ = batches = world.tick("new_contacts")
    assert len(batches) == 3
    lease = world.take(first)
    assert len(world.tick("new_contacts")) == 2
    finish_batch(world.connection, lease)
    assert len(world.tick("new_contacts")) == 3
    assert world.tick("due_actions") == []


def test_a_batch_that_no_run_began_is_asked_for_under_a_new_attempt(world):
    world.contact()
    batch = world.only_batch("new_contacts")
    assert world.only_batch("new_contacts") == batch
    world.connection.execute(
        "update micro_batches set attempt_requested_at = clock_timestamp() - %s",
        [timedelta(seconds=world.settings.start_timeout_seconds + 1)],
    )
    again = world.only_batch("new_contacts")
    assert (again.batch_id, again.attempt) == (batch.batch_id, 2)
    assert world.try_to_take(batch) is None
    world.take(again)


async def test_spent_attempts_fail_a_batch_visibly_and_a_retry_finishes_it(world):
    world.apply(flow_of("ai_call"))
    world.contact()
    for attempt in range(1, world.settings.max_attempts + 1):
        batch = world.only_batch("new_contacts")
        assert batch.attempt == attempt
        world.take(batch)
        world.let_leases_lapse()
    assert world.tick("new_contacts") == []
    assert any("spent their attempts" in problem for problem in world.books().problems)

    assert retry_batch(world.connection, batch.batch_id)
    assert not retry_batch(world.connection, batch.batch_id)
    await world.settle()
    assert world.executions() == ["completed"]
    assert len(world.effects()) == 1
    assert world.books().problems == ()


def test_due_actions_are_batched_oldest_first_and_none_twice(world):
    world.settings = QUICK.model_copy(update={"batch_size": 2})
    world.apply(flow_of("wait"))
    for _ in range(5):
        world.contact()
    for batch in world.tick("new_contacts"):
        lease = world.take(batch)
        world.start(lease)
        finish_batch(world.connection, lease)
    world.connection.execute(
        "update flow_action_logs as logs set due_at = now() - make_interval(mins => numbers.number::int) from"
        " (select id, row_number() over (order by id desc) as number from flow_action_logs) as numbers"
        " where numbers.id = logs.id"
    )
    oldest_first = [
        row[0] for row in world.connection.execute("select id from flow_action_logs order by due_at").fetchall()
    ]
    batches = world.tick("due_actions")
    assert [batch.item_count for batch in batches] == [2, 2]
    for number, batch in enumerate(batches):
        held = {log.id for log in world.logs() if log.micro_batch_id == batch.batch_id}
        assert held == set(oldest_first[2 * number : 2 * number + 2])


async def test_two_runs_of_one_attempt_are_one_run(world):
    world.apply(flow_of(*CHANNELS))
    for _ in range(3):
        world.contact()
    batch = world.only_batch("new_contacts")
    lease = world.take(batch)
    assert world.try_to_take(batch) is None
    world.start(lease)
    await world.dispatch(lease)
    await world.run(batch, "new_contacts")
    assert len(world.effects()) == len(set(world.effects())) == 9


async def test_an_answer_that_is_recorded_twice_counts_once(world):
    world.apply(flow_of("ai_call", "email"))
    world.contact()
    lease = world.started()
    intents = claim(world, lease, "ai_call")
    first = [(intent, Accepted("call-1")) for intent in intents]
    record_answers(world.connection, lease, world.channel("ai_call"), first, world.settings, now=utc_now())
    once = world.everything()
    second = [(intent, Accepted("call-2")) for intent in intents]
    assert not record_answers(world.connection, lease, world.channel("ai_call"), second, world.settings, now=utc_now())
    assert world.everything() == once
