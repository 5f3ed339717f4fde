"""Runs that meet: two that want one address, and many tenants that want one batch."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.execution.ledger import Claim, claim_due
from tests.integration.ledger_world import World, flow_of

ROUNDS = 10


def test_of_two_runs_that_race_for_one_address_one_touches_it(world: World) -> None:
    world.apply(flow_of("email"))
    world.settings = world.settings.model_copy(update={"batch_size": 1})
    both_are_ready = Barrier(2)

    def claim(lease: Lease) -> Claim:
        with connect(world.url) as connection:
            both_are_ready.wait(10)
            return claim_due(connection, lease, world.channel("email"), world.settings, now=utc_now())

    for number in range(ROUNDS):
        for _ in range(2):
            world.contact(email=f"shared{number}@example.com")
        leases = [world.take(batch) for batch in world.tick("new_contacts")]
        assert len(leases) == 2
        for lease in leases:
            world.start(lease)
        with ThreadPoolExecutor(2) as threads:
            claims = list(threads.map(claim, leases))
        assert sorted(len(each.intents) for each in claims) == [0, 1]
        assert sum((each.skipped for each in claims), Counter()) == {"same_address": 1}
        world.connection.execute("update micro_batches set status = 'done', lease_expires_at = null")


async def test_tenants_take_turns_in_a_batch_however_many_they_are(world: World) -> None:
    names = ["huge", *(f"small-{number}" for number in range(30))]
    for name in names:
        world.tenant_name = name
        world.apply(flow_of("wait", "email"))
        for _ in range(300 if name == "huge" else 3):
            world.contact()
    world.settings = world.settings.model_copy(update={"batch_size": 500})
    await world.settle()
    world.pass_time(minutes=61)
    world.settings = world.settings.model_copy(update={"batch_size": 100})
    first = world.tick("due_actions")[0]
    held = Counter(
        name
        for (name,) in world.connection.execute(
            "select users.name from flow_action_logs as logs inner join users on users.id = logs.user_id"
            " where logs.micro_batch_id = %s",
            [first.batch_id],
        )
    )
    # 31 tenants have three turns each, and the one that has more gets what is left.
    assert held == {"huge": 10, **dict.fromkeys(names[1:], 3)}
