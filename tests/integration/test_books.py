"""The books find what is planted: each discrepancy is made by hand in a world that balanced before."""

import json

import pytest

from tests.integration.ledger_world import CHANNELS, flow_of


@pytest.fixture
async def balanced(world):
    """Three contacts, nine effects, one upload, and balanced books."""
    world.apply(flow_of(*CHANNELS))
    upload_id = world.insert(
        "lead_uploads",
        user_id=world.tenant.user_id,
        file_name="leads.csv",
        inbox_path="acme/leads.csv",
        status="loaded",
        rows_read=3,
        rows_inserted=3,
    )
    for _ in range(3):
        world.contact(upload_id=upload_id)
    await world.settle()
    assert world.books().problems == ()
    assert world.books().are_balanced
    return world


def problems_after(world, statement):
    # What the triggers refuse, a restored dump may still hold.
    world.connection.execute("set session_replication_role = replica")
    world.connection.execute(statement)
    books = world.books()
    assert not books.are_balanced
    return "\n".join(books.problems)


def plant_effect(world, reference):
    """A line in the sandbox's record, as a provider writes it for what it did."""
    entry = {
        "kind": "effect",
        "provider": "bolna",
        "reference": reference,
        "provider_message_id": "call-x",
        "address_key": "0" * 64,
        "at": "2026-11-23T09:00:00+00:00",
    }
    with world.sandbox.record_path.open("a") as record:
        record.write(json.dumps(entry) + "\n")


@pytest.mark.parametrize("reference", ["00000000-0000-7000-8000-000000000000", None])
def test_an_effect_without_a_log_is_found(balanced, reference):
    plant_effect(balanced, reference)
    found = "\n".join(balanced.books().problems)
    assert f"1 effects belong to no log that knows of them, first {reference or 'no reference'}" in found


def test_an_action_log_with_two_effects_is_found(balanced):
    log = balanced.logs()[0]
    plant_effect(balanced, str(log.id))
    assert f"1 action logs have more than one effect, first {log.id}" in "\n".join(balanced.books().problems)


def test_an_effect_that_its_log_does_not_know_is_found(balanced):
    found = problems_after(
        balanced,
        "update flow_action_logs set status = 'failed', provider_message_id = null"
        " where id = (select min(id::text)::uuid from flow_action_logs)",
    )
    assert "1 effects belong to no log that knows of them" in found


def test_a_log_without_its_effect_is_found(balanced):
    record = balanced.sandbox.record_path
    first, *rest = record.read_text().splitlines(keepends=True)
    record.write_text("".join(rest))
    found = "\n".join(balanced.books().problems)
    assert f"1 logs name a provider message that never arrived, first {json.loads(first)['reference']}" in found


def test_an_upload_that_lies_about_its_contacts_is_found(balanced):
    found = problems_after(balanced, "update lead_uploads set rows_read = 4, rows_inserted = 4")
    assert "uploads say 4 contacts inserted, the table holds 3" in found


def test_an_upload_that_lies_about_its_rejected_rows_is_found(balanced):
    found = problems_after(balanced, "update lead_uploads set rows_read = 4, rows_rejected = 1")
    assert "uploads say 1 rows rejected, quarantine holds 0" in found


def test_an_open_execution_with_nothing_due_is_found(balanced):
    found = problems_after(
        balanced,
        "update flow_executions set status = 'running' where id = (select min(id::text)::uuid from flow_executions)",
    )
    assert "1 executions are open with nothing due and nothing awaited" in found


def test_an_action_that_waits_in_an_execution_that_has_ended_is_found(balanced):
    found = problems_after(
        balanced,
        "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, due_at)"
        " select id, user_id, 9, 'email', 'pending', now() from flow_executions order by id limit 1",
    )
    assert "1 actions are pending in an execution that has ended" in found


def test_an_assignment_without_an_execution_is_found(balanced):
    user_id = balanced.tenant.user_id
    contact_id = balanced.contact()
    batch_id = balanced.insert("micro_batches", kind="new_contacts", status="done", item_count=1)
    balanced.connection.execute("update contacts set micro_batch_id = %s where id = %s", [batch_id, contact_id])
    balanced.connection.execute(
        "insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason)"
        " select %s, %s, %s, id, 1, 'matched' from auto_engagement_flows",
        [contact_id, batch_id, user_id],
    )
    assert "flows were assigned 4 times, but 3 executions exist" in balanced.books().problems


def test_a_contact_that_was_never_matched_is_found(balanced):
    contact_id = balanced.contact()
    batch_id = balanced.insert("micro_batches", kind="new_contacts", status="done", item_count=1)
    balanced.connection.execute("update contacts set micro_batch_id = %s where id = %s", [batch_id, contact_id])
    assert "1 contacts went through their batch without being matched" in balanced.books().problems


def test_a_batch_that_spent_its_attempts_is_found(balanced):
    balanced.insert("micro_batches", kind="due_actions", status="failed", item_count=1)
    assert any("1 micro-batches spent their attempts" in problem for problem in balanced.books().problems)


async def test_refused_put_off_and_replayed_requests_are_counted_apart(world):
    world.apply(flow_of("email"))
    for _ in range(3):
        world.contact()
    world.sandbox.behave(faults={1: "refuses", 2: "defers", 3: "accepts then fails"})
    await world.settle()
    world.pass_time(hours=1)
    await world.settle()
    books = world.books()
    assert books.are_balanced
    assert books.apart == {"refused for good": 1, "put off (429)": 1, "replayed with the same key": 1}
    effects = books.sums[-1]
    assert (effects.total, dict(effects.parts)) == (
        2,
        {"action logs with a provider message id": 2, "unknown logs whose request did arrive": 0},
    )


async def test_work_that_is_still_open_balances_and_says_when_it_is_due(world):
    world.apply(flow_of("ai_call", "wait", "email"))
    for _ in range(4):
        world.contact()
    world.sandbox.inject("drops the line", at_request=1)
    await world.settle()
    world.pass_time(minutes=1)
    await world.settle()
    world.contact()
    books = world.books()
    assert books.problems == ()
    assert books.next_due is not None
    contacts, executions = books.sums[1:3]
    assert contacts.parts == {"assigned to a flow": 4, "not picked up yet": 1}
    assert {name: count for name, count in executions.parts.items() if count} == {
        "still open": 3,
        "waiting on an unknown result": 1,
    }
