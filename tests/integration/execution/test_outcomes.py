"""Outcomes that providers tell later: in any order, repeated, early, late, and for logs that are not ours."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.channels.registry import sandbox_channels
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.execution.steps import OUTCOME_TIMEOUT_MINUTES
from tests.integration.ledger_world import Log, World, flow_of


class ReportingWorld(World):
    """The same installation with an e-mail channel that tells later what became of a message."""

    def channel(self, action_type: str) -> Channel:
        if action_type == "email":
            return sandbox_channels(self.sandbox.url)[action_type]
        return super().channel(action_type)


@pytest.fixture
def world(database, connection, sandbox):
    return ReportingWorld(database, connection, sandbox)


def told(log: Log, outcome: str, **fields: object) -> ProviderOutcome:
    """What the provider says of the log, known by its own id."""
    return replace(ProviderOutcome("resend", log.provider_message_id, None, outcome, utc_now()), **fields)


def record(world: World, *outcomes: ProviderOutcome) -> Counter[str]:
    return record_outcomes(world.connection, outcomes, now=utc_now())


async def sent_email(world: World, *following: tuple[str, str] | str) -> Log:
    """One contact whose first action, an e-mail, was accepted."""
    world.apply(flow_of("email", *following))
    world.contact()
    await world.settle()
    return world.logs()[0]


async def test_an_accepted_request_waits_for_its_outcome(world):
    log = await sent_email(world)
    assert (log.status, log.outcome, log.completed_at) == ("sent", "accepted", None)
    assert log.due_at - log.accepted_at == timedelta(minutes=OUTCOME_TIMEOUT_MINUTES["email"])
    assert world.executions() == ["running"]


async def test_a_delivery_is_success_and_ends_the_execution(world):
    log = await sent_email(world)
    assert record(world, told(log, "delivered", detail={"smtp": "250"}, cost_cents=0.1)) == {"applied": 1}
    after = world.only_log()
    assert (after.status, after.outcome, after.due_at) == ("success", "delivered", None)
    assert (after.result_data["smtp"], float(after.cost_cents)) == ("250", 0.1)
    assert world.executions() == ["completed"]


async def test_always_needs_only_the_acceptance_and_conditions_wait_for_the_outcome(world):
    log = await sent_email(world, ("ai_call", "if_previous_failed"), "whatsapp_message")
    assert world.statuses() == ["sent"]
    record(world, told(log, "bounced"))
    await world.settle()
    assert world.statuses() == ["failed", "success", "success"]


@pytest.mark.parametrize("order", list(permutations(["delivered", "opened", "complained"])))
async def test_any_order_and_any_repetition_end_in_the_same_outcome(world, order):
    log = await sent_email(world)
    for name in (*order, *order):
        record(world, told(log, name))
    assert world.only_log().outcome == "complained"


async def test_a_final_status_stays_when_the_outcome_is_refined(world):
    log = await sent_email(world)
    record(world, told(log, "delivered"))
    assert record(world, told(log, "complained")) == {"applied": 1}
    assert (world.only_log().status, world.only_log().outcome) == ("success", "complained")
    assert record(world, told(log, "opened")) == {"superseded": 1}


async def test_an_event_before_our_own_record_settles_the_log_by_our_id(world):
    world.apply(flow_of("email"))
    world.contact()
    lease = world.started()
    world.sandbox.inject("hangs")
    world.settings = world.settings.model_copy(update={"request_timeout_seconds": 0.5})
    await world.dispatch(lease, channels=["email"])
    log = world.only_log()
    assert log.status == "sending"
    event = ProviderOutcome("resend", "message-1", log.id, "delivered", utc_now())
    assert record(world, event) == {"applied": 1}
    assert (world.only_log().status, world.only_log().provider_message_id) == ("success", "message-1")


async def test_a_timeout_closes_as_expired_and_the_true_outcome_corrects_the_log_not_the_path(world):
    log = await sent_email(world, ("ai_call", "if_previous_failed"))
    world.pass_time(days=1, seconds=1)
    await world.settle()
    assert world.logs()[0].outcome == "expired"
    assert world.statuses() == ["failed", "success"]
    assert record(world, told(log, "delivered")) == {"applied": 1}
    assert world.statuses() == ["success", "success"]
    assert world.executions() == ["completed"]


async def test_an_opt_out_suppresses_the_address_and_stops_what_is_pending_on_it(world):
    log = await sent_email(world, "wait", "email")
    same_address = world.contact(email="lead1@example.com")
    world.apply(flow_of("wait", "email"))
    await world.settle()
    world.pass_time(minutes=61)
    world.connection.execute(
        "update flow_action_logs set due_at = now() + interval '1 hour' where status = 'pending' and action_type = %s",
        ["email"],
    )
    assert record(world, told(log, "complained", is_opt_out=True)) == {"applied": 1}
    await world.settle()
    suppressed = world.connection.execute("select channel, address from suppressions").fetchall()
    assert suppressed == [("email", "lead1@example.com")]
    assert [entry.skip_reason for entry in world.logs() if entry.status == "skipped"] == ["suppressed", "suppressed"]
    assert world.logs(same_address)[-1].status == "skipped"
    assert len(world.effects()) == 1


async def test_what_is_not_ours_is_counted_and_changes_nothing(world):
    await sent_email(world)
    before = world.everything()
    stranger = ProviderOutcome("resend", "somebody-elses", None, "delivered", utc_now())
    assert record(world, stranger, replace(stranger, action_log_id=uuid4())) == {"unknown_id": 2}
    assert world.everything() == before


async def test_a_log_that_was_never_sent_takes_no_outcome(world):
    world.apply(flow_of("wait", "email"))
    world.contact()
    await world.settle()
    wait = world.only_log()
    event = ProviderOutcome("resend", None, wait.id, "delivered", utc_now() - timedelta(minutes=1))
    assert record(world, event) == {"superseded": 1}
    assert world.only_log().status == "pending"
