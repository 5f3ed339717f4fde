"""Budgets: what an account may send, when, and that no two runs overspend it."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import open_channels
from engage_pipeline.accounts.store import ensure_sandbox_accounts
from engage_pipeline.channels.answers import Accepted, TryLater
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.budgets import adapt_budgets, keep_stated_concurrencies
from engage_pipeline.execution.ledger import claim_due
from engage_pipeline.execution.plan_budget import plan_budget
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.stop_calls import stop_queued_calls
from tests.integration.ledger_world import World, flow_of


@pytest.fixture
def world(database, connection, sandbox, tmp_path):
    settings = Settings(home=tmp_path, database_url=database, sandbox_url=sandbox.url, request_timeout_seconds=2)

    class Budgeted(World):
        def channel(self, action_type):
            return open_channels(self.connection, self.settings)[action_type]

        def budget(self, **columns):
            """The tenant's budget on every channel."""
            self.tenant  # noqa: B018 - makes the tenant
            ensure_sandbox_accounts(self.connection, Keyring(self.settings))
            for name, value in columns.items():
                self.connection.execute(
                    f"update channel_budgets set {name} = %s where account_id in"
                    " (select id from channel_accounts where user_id = %s)",
                    [value, self.tenant.user_id],
                )

        def due(self, count, action_type="email"):
            """The lease of a batch with so many actions due."""
            self.apply(flow_of(action_type))
            for _ in range(count):
                self.contact()
            return self.started()

        def claim(self, lease, *, action_type="email", now=None):
            return claim_due(self.connection, lease, self.channel(action_type), self.settings, now=now or utc_now())

    return Budgeted(database, connection, sandbox, settings)


def test_a_claim_takes_what_fits_in_before_the_horizon_and_no_more(world):
    world.budget(requests_per_second=2)
    lease = world.due(30)
    now = utc_now()
    claim = world.claim(lease, now=now)
    assert len(claim.intents) == 16  # two a second, eight seconds
    begins = sorted(intent.begins_after_seconds for intent in claim.intents)
    assert begins == pytest.approx([number / 2 for number in range(16)], abs=0.01)
    assert world.claim(lease, now=now).intents == []
    assert Counter(world.statuses()) == {"sending": 16, "pending": 14}


def test_later_claims_go_on_where_the_last_one_ended(world):
    world.budget(requests_per_second=2)
    lease = world.due(40)
    now = utc_now()
    world.claim(lease, now=now)
    world.budget(held_until=None)
    second = world.claim(lease, now=now + timedelta(seconds=3))
    assert sorted(intent.begins_after_seconds for intent in second.intents) == pytest.approx(
        [5, 5.5, 6, 6.5, 7, 7.5], abs=0.01
    )


async def test_no_chunk_is_claimed_long_before_the_account_may_send_it(world):
    """What is claimed and was not sent is unknown after a crash."""
    world.settings = world.settings.model_copy(update={"chunk_size": 10})
    world.budget(requests_per_second=40)
    run = asyncio.create_task(world.dispatch(world.due(40), channels=["email"]))
    most = 0
    while not run.done():
        most = max(most, world.statuses().count("sending"))
        await asyncio.sleep(0.005)
    await run
    assert "pending" not in world.statuses()
    assert 10 <= most <= 25


def test_two_runs_at_once_do_not_overspend(world):
    world.budget(requests_per_second=1)
    first = world.due(20)
    for _ in range(20):
        world.contact()
    second = world.started()
    now = utc_now()
    taken = [len(world.claim(lease, now=now).intents) for lease in (first, second)]
    assert sum(taken) == 8


def test_a_slow_account_holds_up_no_other_tenant(world):
    world.budget(requests_per_second=0.25)
    world.apply(flow_of("email"))
    for _ in range(5):
        world.contact()
    other = World(world.url, world.connection, world.sandbox, world.settings, "other")
    other.apply(flow_of("email"))
    for number in range(5):
        other.contact(email=f"theirs{number}@example.com", phone_e164=f"+1202556{number:04}")
    lease = world.started()
    claim = world.claim(lease)
    assert len(claim.intents) == 2 + 5


def test_a_days_cap_lasts_until_the_next_day(world):
    now = utc_now().replace(hour=12)
    world.budget(daily_cap=3, next_free_at=now - timedelta(days=1))
    lease = world.due(5)
    world.connection.execute("update flow_action_logs set due_at = due_at - interval '1 day'")
    assert len(world.claim(lease, now=now).intents) == 3
    assert world.claim(lease, now=now + timedelta(hours=1)).intents == []
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert world.connection.execute("select max(held_until) from channel_budgets").fetchone() == (midnight,)
    assert len(world.claim(lease, now=midnight + timedelta(minutes=1)).intents) == 2


async def test_calls_in_flight_stay_within_what_the_provider_states(world):
    world.sandbox.behave(outcome_seconds=3600, concurrency=2)
    world.budget(in_flight_cap=10)
    lease = world.due(5, "ai_call")
    channel = world.channel("ai_call")
    async with world.client() as client:
        keep_stated_concurrencies(world.connection, await channel.stated_concurrencies(client))
    await world.dispatch(lease, channels=["ai_call"])
    assert len(world.effects()) == 2
    assert Counter(world.statuses()) == {"sent": 2, "pending": 3}
    world.reach_everybody()
    world.budget(held_until=None)
    await world.dispatch(lease, channels=["ai_call"])
    assert Counter(world.statuses()) == {"success": 2, "sent": 2, "pending": 1}


def test_an_account_that_may_not_send_yet_fills_no_batch(world):
    world.budget(held_until=utc_now() + timedelta(minutes=1))
    lease = world.due(3)
    assert world.claim(lease).intents == []
    world.connection.execute("update flow_action_logs set micro_batch_id = null")
    assert world.tick("due_actions") == []
    world.budget(held_until=None)
    assert len(world.tick("due_actions")) == 1


async def test_a_429_slows_the_account_down_and_good_answers_let_it_recover(world):
    world.sandbox.behave(requests_per_second={"resend": 1})
    lease = world.due(4)
    await world.dispatch(lease, channels=["email"])
    pace, is_held = world.connection.execute(
        "select pace, held_until > clock_timestamp() from channel_budgets inner join channel_accounts as accounts"
        " on accounts.id = account_id where channel = 'email'"
    ).fetchone()
    assert (float(pace), is_held) == (0.5, True)
    assert Counter(world.statuses()) == {"sent": 1, "pending": 3}
    (account_id,) = world.connection.execute("select id::text from channel_accounts where channel = 'email'").fetchone()
    for _ in range(10):
        adapt_budgets(world.connection, [(account_id, Accepted("m"))], now=utc_now())
    assert world.connection.execute("select min(pace) from channel_budgets").fetchone() == (1,)
    adapt_budgets(world.connection, [(account_id, TryLater("one person's limit", 6.0))], now=utc_now())
    assert world.connection.execute("select min(pace) from channel_budgets").fetchone() == (1,)


@pytest.mark.parametrize("no", ["an opt-out", "a cancelled execution"])
async def test_a_call_in_the_providers_queue_is_taken_back(world, no):
    world.sandbox.behave(outcome_seconds=3600)
    lease = world.due(2, "ai_call")
    await world.dispatch(lease, channels=["ai_call"])
    if no == "an opt-out":
        world.connection.execute(
            "insert into suppressions (user_id, channel, address, source)"
            " select user_id, 'ai_call', phone_e164, 'test' from contacts order by id limit 1"
        )
    else:
        world.connection.execute(
            "update flow_executions set status = 'cancelled', completed_at = now()"
            " where id = (select min(execution_id::text)::uuid from flow_action_logs)"
        )

    async def stop():
        channels = open_channels(world.connection, world.settings)
        return await asyncio.to_thread(stop_queued_calls, world.connection, channels, world.settings, now=utc_now())

    assert await stop() == 1
    assert await stop() == 0
    assert sorted(world.statuses()) == ["failed", "sent"]


@pytest.mark.parametrize(
    ("budget", "seconds", "words"),
    [
        ({"requests_per_second": 5}, 200, "5 requests a second"),
        ({"requests_per_second": 5, "in_flight_cap": 10}, 9_000, "10 at once"),
        ({"daily_cap": 250}, 3 * 86_400, "250 a day"),
    ],
)
def test_a_plan_goes_by_the_tightest_limit(world, budget, seconds, words):
    world.budget(**budget)
    world.apply(flow_of("ai_call"))
    plans = {each.channel: each for each in plan_budget(world.connection, world.tenant.user_id, 1000, now=utc_now())}
    assert (plans["ai_call"].action_count, plans["ai_call"].seconds) == (1000, seconds)
    assert words in plans["ai_call"].bound_by
    assert (plans["email"].action_count, plans["ai_call"].cost_cents) == (0, None)
