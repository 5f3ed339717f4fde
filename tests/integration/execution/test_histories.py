"""Random histories: random flows, moods of the providers, crashes and clock jumps. In the end the books balance."""

import asyncio
import random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.errors import LeaseLost
from engage_pipeline.execution.batches import finish_batch
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.ledger import claim_due, close_expired, complete_waits
from engage_pipeline.matching.batch import assign_batch
from tests.flow_strategies import flow_lists
from tests.integration.ledger_world import CHANNELS, QUICK, World

# A request that hangs costs real seconds; "drops the line" leaves the ledger in the same state.
FAULTS = (
    *(None, None, None, "refuses", "defers", "fails", "unavailable", "drops the line", "html", "200 with error body"),
    *("accepts then fails", "accepts then drops the line"),
)
CRASHES = ("after the match", "after the start", "after a claim", "after a send", "before the end", None, None)

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("contacts"), st.integers(1, 6)),
        st.tuples(st.just("mood"), st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4)),
        st.tuples(st.just("run"), st.sampled_from(CRASHES)),
        st.tuples(st.just("run"), st.sampled_from(CRASHES)),
        st.tuples(st.just("time"), st.sampled_from([30, 60, 3600, 86_400, 8 * 86_400, 400 * 86_400])),
        st.tuples(st.just("toggle"), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 3)),
        st.tuples(st.just("do not contact"), st.integers(0, 3)),
        st.tuples(st.just("lapse"), st.none()),
    ),
    min_size=5,
    max_size=20,
)


@pytest.fixture
def clean_world(world: World):
    """Gives the one world of the test, emptied: a database and a sandbox for each example would cost a second each."""

    def clean() -> World:
        world.connection.execute(
            "truncate users, auto_engagement_flows, flow_versions, flow_trigger_conditions, flow_actions, contacts,"
            " suppressions, flow_assignments, flow_executions, flow_action_logs, micro_batches, lead_uploads cascade"
        )
        world.sandbox.stop()
        world.sandbox.record_path.unlink(missing_ok=True)
        world.sandbox.start()
        world.sandbox.behave()
        world.settings = QUICK.model_copy(update={"batch_size": 4, "chunk_size": 3, "max_attempts": 1000})
        return world

    return clean


async def run_until(world, batch, kind, crash, zombies):
    """One run that dies at `crash`. Its lease stays in `zombies`: the process may only have been frozen."""
    lease = world.try_to_take(batch)
    if lease is None:
        return
    if crash is not None:
        zombies.append(lease)
    if kind == "new_contacts":
        await asyncio.to_thread(assign_batch, world.url, lease)
        if crash == "after the match":
            return
        world.start(lease)
    if crash == "after the start":
        return
    if crash in ("after a claim", "after a send"):
        close_expired(world.connection, lease, now=utc_now())
        complete_waits(world.connection, lease, now=utc_now())
        for action_type in CHANNELS:
            channel = world.channel(action_type)
            with connect(world.url) as connection:
                claim = claim_due(connection, lease, channel, world.settings, now=utc_now())
            if claim.intents and crash == "after a send":
                async with world.client() as client:
                    for intent in claim.intents:
                        await channel.send(client, intent.request, reference=str(intent.action_log_id))
            if claim.intents:
                return
    await world.dispatch(lease)
    if crash != "before the end":
        finish_batch(world.connection, lease)


async def thaw(world, zombies):
    """Every frozen worker wakes up and goes on as if nothing had happened; only a lease that still holds lets it."""
    for lease in zombies:
        try:
            await world.dispatch(lease)
            finish_batch(world.connection, lease)
        except LeaseLost:
            continue
    zombies.clear()


def choose(world, statement, number) -> list[UUID]:
    return [row[0] for row in world.connection.execute(statement).fetchall()][number : number + 1]


async def live_through(world, moves, zombies):
    for move, argument in moves:
        match move:
            case "contacts":
                for number in range(argument):
                    missing = {1: {"phone_e164": None}, 2: {"email": None}}.get(number, {})
                    world.contact(lead_source="Web", custom_fields={"plan": "pro"}, **missing)
            case "mood":
                rng = random.Random(len(argument))
                world.sandbox.behave(faults={number: rng.choice(argument) for number in range(1, 200)})
            case "run":
                for kind in ("new_contacts", "due_actions"):
                    for batch in world.tick(kind):
                        await run_until(world, batch, kind, argument, zombies)
            case "time":
                world.pass_time(seconds=argument)
            case "toggle":
                world.connection.execute("update auto_engagement_flows set is_enabled = %s", [argument])
            case "cancel":
                chosen = choose(world, "select id from flow_executions order by id", argument)
                with world.connection.transaction():
                    cancel_executions(world.connection, chosen, reason="by_hand", now=utc_now())
            case "do not contact":
                for contact_id in choose(world, "select id from contacts order by id", argument):
                    world.connection.execute("update contacts set tags = '{dnc}' where id = %s", [contact_id])
            case "lapse":
                world.let_leases_lapse()
                for kind in ("new_contacts", "due_actions"):
                    world.tick(kind)
                await thaw(world, zombies)


async def come_to_rest(world, zombies):
    """Providers oblige again, flows are enabled, dead workers are replaced, and years pass."""
    world.sandbox.behave()
    world.connection.execute("update auto_engagement_flows set is_enabled = true where deleted_at is null")
    world.let_leases_lapse()
    for kind in ("new_contacts", "due_actions"):
        world.tick(kind)
    await thaw(world, zombies)
    for days in (0, 1, 1, 7, 7, 366, 366, 366, 366, 366):
        world.pass_time(days=days)
        await world.settle()


@given(flows=flow_lists(), moves=MOVES)
# No shrinking: an example costs a second, and its moves can be read as they are.
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_whatever_happens_nobody_is_reached_twice_and_nothing_is_forgotten(clean_world, flows, moves):
    world = clean_world()
    open_all_hours = {"use_custom_business_hours": False, "is_enabled": True}
    world.apply(*(flow.model_copy(update=open_all_hours) for flow in flows))
    zombies = []
    asyncio.run(live_through(world, moves, zombies))
    open_executions = {log.execution_id for log in world.logs() if log.due_at is not None}
    effects = world.effects()
    assert len(effects) == len(set(effects)), "in the middle of it too, no action log has two effects"

    asyncio.run(come_to_rest(world, zombies))
    effects = world.effects()
    assert len(effects) == len(set(effects)), "no action log has two effects"
    assert world.books().problems == ()
    still_open = world.connection.execute(
        "select id from flow_executions where status in ('pending', 'running')"
    ).fetchall()
    assert still_open == [], f"{len(open_executions)} executions were open before the years passed"
    unmatched = world.connection.execute("select count(*) from contacts where micro_batch_id is null").fetchone()
    assert unmatched == (0,)
