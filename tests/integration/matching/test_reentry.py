"""Known contacts that arrive again: who is offered to matching, who enters a flow again, and that the books balance."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import CheckViolation

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.execution.batches import finish_batch
from engage_pipeline.flows.reentry import takes_known_contacts
from engage_pipeline.matching.batch import assign_batch
from engage_pipeline.matching.explain import explain_contact
from tests.integration.ledger_world import World, flow_of

AGAIN = {"reentry_after_days": 30}


def _source(value: str) -> dict[str, Any]:
    return {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": value}


def _arrives(world: World, *contact_ids: UUID) -> int:
    """The contacts are named by a file again; how many of them wait to be matched for that."""
    if not takes_known_contacts(world.connection, world.tenant.user_id):
        return 0
    return world.connection.execute(
        "update contacts set micro_batch_id = null, updated_at = now()"
        " where id = any(%s) and micro_batch_id is not null",
        [list(contact_ids)],
    ).rowcount


def _match(world: World) -> dict[UUID, tuple[str | None, str]]:
    """The flow name and reason of every contact that waits, matched, started and closed with nothing sent."""
    lease = world.started()
    finish_batch(world.connection, lease)
    rows = world.connection.execute(
        "select contact_id, name, reason from flow_assignments as assignments left join auto_engagement_flows as flows"
        " on flows.id = assignments.flow_id where micro_batch_id = %s",
        [lease.work_id],
    ).fetchall()
    return {contact_id: (name, reason) for contact_id, name, reason in rows}


def _entered(world: World, *, days_ago: float, status: str = "completed") -> None:
    """Every execution began so long ago, and is ended."""
    world.connection.execute("update flow_executions set status = 'running' where status = 'pending'")
    world.connection.execute(
        "update flow_executions set status = %s, triggered_at = now() - %s", [status, timedelta(days=days_ago)]
    )
    world.connection.execute("delete from flow_action_logs")


def test_a_tenant_without_reentry_matches_a_contact_once(world: World) -> None:
    world.apply(flow_of("email", name="Once"), flow_of("email", name="Off", priority=1, is_enabled=False, **AGAIN))
    contact_id = world.contact()
    assert _match(world) == {contact_id: ("Once", "matched")}
    assert not takes_known_contacts(world.connection, world.tenant.user_id)
    assert _arrives(world, contact_id) == 0
    assert world.tick("new_contacts") == []


@pytest.mark.parametrize(("days_ago", "expected"), [(29.9, (None, "reentry_blocked")), (30.1, ("Monthly", "matched"))])
def test_a_flow_is_entered_again_only_after_its_days(
    world: World, days_ago: float, expected: tuple[str | None, str]
) -> None:
    # The next flow wants everybody, but a blocked match does not fall through.
    world.apply(flow_of("email", name="Monthly", **AGAIN), flow_of("email", name="Everyone else", priority=1))
    contact_id = world.contact()
    _match(world)
    _entered(world, days_ago=days_ago)
    assert _arrives(world, contact_id) == 1
    assert _match(world) == {contact_id: expected}
    assert world.books().problems == ()


def test_a_flow_that_says_nothing_of_reentry_is_entered_once_and_another_one_takes_the_contact(world: World) -> None:
    world.apply(
        flow_of("email", name="Demo", trigger_conditions=[_source("demo")]),
        flow_of("email", name="Monthly", priority=1, **AGAIN),
    )
    contact_id = world.contact(lead_source="web")
    _match(world)
    _entered(world, days_ago=1)
    for expected in [("Demo", "matched"), (None, "reentry_blocked")]:
        world.connection.execute("update contacts set lead_source = 'demo'")
        _arrives(world, contact_id)
        assert _match(world) == {contact_id: expected}
        _entered(world, days_ago=1000)


def test_an_open_execution_means_already_engaged_and_a_test_run_means_nothing(world: World) -> None:
    world.apply(flow_of("email", name="Monthly", **AGAIN))
    engaged, tested, both = (world.contact() for _ in range(3))
    _match(world)
    world.connection.execute("update flow_executions set triggered_at = now() - interval '31 days'")
    world.connection.execute("update flow_executions set is_test_run = true where contact_id = %s", [tested])
    world.connection.execute("update contacts set tags = '{dnc}' where id = %s", [both])
    _arrives(world, engaged, tested, both)
    assert _match(world) == {
        engaged: (None, "already_engaged"),
        tested: ("Monthly", "matched"),
        both: (None, "dnc"),
    }


def test_somebody_who_could_not_be_reached_has_never_entered(world: World) -> None:
    world.apply(flow_of("email", name="Monthly", **AGAIN))
    contact_id = world.contact(email=None)
    assert _match(world) == {contact_id: ("Monthly", "unreachable")}
    world.connection.execute("update contacts set email = 'found@example.com'")
    _arrives(world, contact_id)
    assert _match(world) == {contact_id: ("Monthly", "matched")}


def test_who_arrives_again_goes_behind_who_came_before(world: World) -> None:
    world.apply(flow_of("email", **AGAIN))
    known = world.contact()
    _match(world)
    fresh = world.contact()
    world.settings = world.settings.__class__(**{**vars(world.settings), "batch_size": 1})
    _arrives(world, known)
    assert _arrives(world, fresh) == 0
    batches = world.tick("new_contacts")
    rows = world.connection.execute(
        "select contacts.id from micro_batches inner join contacts on contacts.micro_batch_id = micro_batches.id"
        " where micro_batches.id = any(%s) order by micro_batches.id",
        [[batch.batch_id for batch in batches]],
    ).fetchall()
    assert [row[0] for row in rows] == [fresh, known]


def test_a_contact_that_arrives_again_while_it_is_matched_gets_one_execution(world: World) -> None:
    world.apply(flow_of("email", **AGAIN))
    early, late = world.contact(), world.contact()
    lease = world.take(world.only_batch("new_contacts"))
    _arrives(world, early)
    assign_batch(world.url, lease)
    _arrives(world, late)
    again = world.take(world.only_batch("new_contacts"))
    assigned = assign_batch(world.url, again)
    assert {each.contact_id: each.reason for each in assigned} == {
        str(early): "matched",
        str(late): "already_engaged",
    }
    assert world.books().sums[1].parts == {"assigned to a flow": 1, "already engaged": 1}


def test_a_contact_that_a_batch_is_assigning_is_not_picked_up(world: World) -> None:
    world.apply(flow_of("email", **AGAIN))
    contact_id = world.contact()
    _match(world)
    with connect(world.url) as other, other.transaction():
        other.execute("select from contacts where id = %s for key share", [contact_id])
        _arrives(world, contact_id)
        assert world.tick("new_contacts") == []
    assert len(world.tick("new_contacts")) == 1


async def test_the_books_balance_while_contacts_come_again(world: World) -> None:
    world.apply(flow_of("email", **AGAIN))
    first, second = world.contact(), world.contact()
    await world.settle()
    world.connection.execute(
        "update flow_executions set triggered_at = now() - interval '31 days' where contact_id = %s", [first]
    )
    _arrives(world, first, second)
    books = world.books()
    assert books.problems == ()
    assert books.sums[1].parts == {"waiting to be matched again": 2}
    await world.settle()
    books = world.books()
    assert books.problems == ()
    assert books.sums[1].parts == {"assigned to a flow": 1, "re-entry blocked": 1}
    assert (books.sums[2].total, len(world.effects())) == (3, 3)


@pytest.mark.parametrize(
    ("days", "status", "tags", "told"),
    [
        (31, "completed", [], "more than its 30 days ago"),
        (29, "completed", [], "may enter it again from"),
        (31, "running", [], "one of its executions is open"),
        (31, "completed", ["DNC"], "do-not-contact"),
    ],
)
def test_what_explain_says_of_a_second_arrival_is_what_happens(
    world: World, days: float, status: str, tags: list[str], told: str
) -> None:
    world.apply(flow_of("email", **AGAIN))
    contact_id = world.contact()
    _match(world)
    _entered(world, days_ago=days, status=status)
    world.connection.execute("update contacts set tags = %s where id = %s", [tags, contact_id])
    (explained,) = explain_contact(world.connection, world.url, str(contact_id), now=utc_now())
    assert explained.again is not None
    assert explained.again.is_offered
    assert told in explained.again.words
    _arrives(world, contact_id)
    (_, reason) = _match(world)[contact_id]
    assert explained.again.reason == reason


def test_explain_says_that_a_contact_keeps_what_it_has_where_nobody_may_enter_again(world: World) -> None:
    world.apply(flow_of("email"))
    contact_id = world.contact()
    (new,) = explain_contact(world.connection, world.url, str(contact_id), now=utc_now())
    assert new.again is None
    _match(world)
    (known,) = explain_contact(world.connection, world.url, str(contact_id), now=utc_now())
    assert known.again is not None
    assert (known.again.is_offered, known.again.reason) == (False, None)


@pytest.mark.parametrize("reason", ["no_match", "dnc", "already_engaged", "reentry_blocked"])
def test_an_assignment_of_these_reasons_carries_no_flow(world: World, reason: str) -> None:
    world.apply(flow_of("email"))
    world.contact()
    _match(world)
    with pytest.raises(CheckViolation, match="flow_by_reason"):
        world.connection.execute("update flow_assignments set reason = %s", [reason])
