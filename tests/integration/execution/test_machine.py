"""The ledger as a machine that hypothesis drives: every move in any order, on real PostgreSQL, with answers made up.

No HTTP here: a provider is a set of what arrived. So the moves are those of the ledger alone, and an example is cheap.
"""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engage_pipeline.channels.answers import Accepted, ProviderOutcome, Refused, TryLater, Unknown
from engage_pipeline.clock import utc_now
from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS, CHANNELS, OUTCOMES
from engage_pipeline.execution.batches import finish_batch
from engage_pipeline.execution.brake import pause, resume
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.ledger import (
    claim_due,
    close_expired,
    complete_waits,
    record_answers,
    record_look_ups,
    select_lost,
)
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.execution.start import start_executions
from engage_pipeline.matching.batch import assign_batch
from tests.integration.ledger_world import QUICK, World, flow_of

FLOWS = (
    flow_of("ai_call", ("whatsapp_message", "if_previous_failed"), "email", name="A", priority=0),
    flow_of("email", "wait", ("ai_call", "if_previous_success"), name="B", priority=1),
)
OUTCOME_WANTED = {"if_previous_outcome": ("read", "answered"), "execute_condition": "if_previous_outcome"}
ANSWERS = ("accepted", "refused", "later", "unknown, arrived", "unknown, lost")


@dataclass(frozen=True)
class Provider:
    """What the ledger asks of a channel; nothing is sent through it."""

    action_type: str
    reports_outcomes = True
    look_up_repeats = False

    def address(self, recipient):
        return getattr(recipient, ADDRESS_COLUMNS[self.action_type])

    def prepare(self, recipient, action_config, *, reference):
        return {"to": self.address(recipient), "reference": reference}


class Ledger(RuleBasedStateMachine):
    """Moves of sensors, runs, providers, people and time."""

    world: World

    def __init__(self):
        super().__init__()
        self.arrived = {}
        self.leases = []
        self.in_flight = []

    @initialize(wanting=st.booleans())
    def flows(self, wanting):
        self.world.connection.execute(
            "truncate users, auto_engagement_flows, flow_versions, flow_actions, contacts, suppressions, pauses,"
            " flow_assignments, flow_executions, flow_action_logs, micro_batches, address_touches cascade"
        )
        first, second = FLOWS
        if wanting:
            last = second.actions[2].model_copy(update=OUTCOME_WANTED)
            second = second.model_copy(update={"actions": (*second.actions[:2], last)})
        # Enabled by turns, so that contacts enter both.
        self.world.apply(first.model_copy(update={"is_enabled": not wanting}), second)

    # Sensors and runs

    @rule(count=st.integers(1, 3), shared=st.booleans())
    def contacts_arrive(self, count, shared):
        for _ in range(count):
            self.world.contact(**({"email": "shared@example.com"} if shared else {}))

    @rule(kind=st.sampled_from(["new_contacts", "due_actions"]))
    def tick_and_take(self, kind):
        for batch in self.world.tick(kind):
            lease = self.world.try_to_take(batch)
            if lease is None:
                continue
            self.leases.append(lease)
            if kind == "new_contacts":
                assign_batch(self.world.url, lease)
                start_executions(self.world.connection, lease, now=utc_now())

    @precondition(lambda self: self.leases)
    @rule(channel=st.sampled_from(CHANNELS))
    def claim(self, channel):
        lease, now = self.leases[-1], utc_now()
        close_expired(self.world.connection, lease, now=now)
        complete_waits(self.world.connection, lease, now=now)
        provider = Provider(channel)
        self.look_up(lease, provider)
        claim = claim_due(self.world.connection, lease, provider, self.world.settings, now=utc_now())
        self.in_flight += [(lease, provider, intent) for intent in claim.intents]

    def look_up(self, lease, provider):
        lost = select_lost(self.world.connection, lease, provider, self.world.settings, now=utc_now())
        found = [
            (intent, Accepted(self.arrived[intent.action_log_id]))
            if intent.action_log_id in self.arrived
            else (intent, Unknown("not found"))
            for intent in lost
        ]
        if found:
            record_look_ups(self.world.connection, lease, provider, found, now=utc_now())

    @precondition(lambda self: self.in_flight)
    @rule(answer=st.sampled_from(ANSWERS), crash=st.booleans())
    def answer(self, answer, crash):
        lease, provider, intent = self.in_flight.pop()
        if answer in ("accepted", "unknown, arrived"):
            assert intent.action_log_id not in self.arrived, "an action has one effect"
            self.arrived[intent.action_log_id] = f"m-{uuid4()}"
        if crash:
            return
        answers = {
            "accepted": lambda: Accepted(self.arrived[intent.action_log_id]),
            "refused": lambda: Refused("no", "refused"),
            "later": lambda: TryLater("busy", 5.0),
        }
        said = answers.get(answer, lambda: Unknown("lost"))()
        record_answers(self.world.connection, lease, provider, [(intent, said)], self.world.settings, now=utc_now())

    @precondition(lambda self: self.leases)
    @rule()
    def crash_of_every_run(self):
        """Nothing in flight is recorded, and the next attempts are opened."""
        self.in_flight.clear()
        self.leases.clear()
        self.world.let_leases_lapse()

    @precondition(lambda self: self.leases and not self.in_flight)
    @rule()
    def finish(self):
        finish_batch(self.world.connection, self.leases.pop())

    # Providers, people and time

    @precondition(lambda self: self.arrived)
    @rule(outcomes=st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=3), data=st.data())
    def outcomes_come(self, outcomes, data):
        log_id = data.draw(st.sampled_from(sorted(self.arrived)))
        told = [
            ProviderOutcome("p", self.arrived[log_id], log_id, each, utc_now(), is_opt_out=each == "opted_out")
            for each in outcomes
            if each != "expired"
        ]
        record_outcomes(self.world.connection, told, now=utc_now())

    @rule(number=st.integers(0, 3))
    def cancel(self, number):
        rows = self.world.connection.execute("select id from flow_executions order by id offset %s limit 1", [number])
        with self.world.connection.transaction():
            chosen = [row[0] for row in rows.fetchall()]
            cancel_executions(self.world.connection, chosen, reason="cancelled", now=utc_now())

    @rule(number=st.integers(0, 3))
    def opt_out(self, number):
        self.world.connection.execute(
            "update contacts set tags = '{dnc}' where id in (select id from contacts order by id offset %s limit 1)",
            [number],
        )

    @rule(channel=st.sampled_from([None, *CHANNELS]), on=st.booleans())
    def brake(self, channel, on):
        if on:
            pause(self.world.connection, None, channel, reason="a test")
        else:
            resume(self.world.connection, None, channel)

    @rule(enabled=st.booleans())
    def toggle(self, enabled):
        self.world.connection.execute("update auto_engagement_flows set is_enabled = %s", [enabled])

    @rule(hours=st.sampled_from([0.01, 1, 3, 25, 200]))
    def clock_jumps(self, hours):
        self.world.pass_time(hours=hours)

    # What always holds

    @invariant()
    def nothing_is_forgotten(self):
        found = self.world.connection.execute(
            "select count(*) from flow_executions as executions where status in ('pending', 'running') and not exists"
            " (select 1 from flow_action_logs as logs where logs.execution_id = executions.id and due_at is not null)"
        ).fetchone()
        assert found == (0,), "an open execution has something due"

    @invariant()
    def nothing_is_sent_after_its_end(self):
        found = self.world.connection.execute(
            "select count(*) from flow_action_logs as logs inner join flow_executions as executions"
            " on executions.id = logs.execution_id where logs.status = 'pending'"
            " and executions.status not in ('pending', 'running')"
        ).fetchone()
        assert found == (0,), "an execution that has ended has nothing pending"

    def teardown(self):
        """Everything is mended, and years pass: each execution comes to its end, and nobody is reached twice."""
        self.crash_of_every_run()
        self.world.connection.execute("delete from pauses")
        self.world.connection.execute("update auto_engagement_flows set is_enabled = true")
        for _ in range(12):
            for kind in ("new_contacts", "due_actions"):
                self.tick_and_take(kind)
            while self.leases:
                for channel in CHANNELS:
                    self.claim(channel)
                    while self.in_flight:
                        self.answer("accepted", crash=False)
                self.finish()
            self.world.pass_time(days=8)
        rest = self.world.connection.execute(
            "select count(*) from flow_executions where status in ('pending', 'running')"
        ).fetchone()
        assert rest == (0,)
        twice = self.world.connection.execute(
            "select flow_id, action_order, contacts.email from flow_action_logs as logs"
            " inner join flow_executions as executions on executions.id = logs.execution_id"
            " inner join contacts on contacts.id = executions.contact_id"
            " where action_type = 'email' and logs.id = any(%s)"
            " group by 1, 2, 3 having count(*) > 1",
            [list(self.arrived)],
        ).fetchall()
        assert twice == [], "one address, one touch"


@pytest.fixture
def small_world(database, connection):
    world = World(database, connection, sandbox=None)
    world.settings = QUICK.model_copy(update={"batch_size": 4, "chunk_size": 3, "max_attempts": 1000})
    return world


def test_any_order_of_moves_keeps_the_ledger_whole(small_world):
    class OnThisWorld(Ledger):
        world = small_world

    run_state_machine_as_test(
        OnThisWorld,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
