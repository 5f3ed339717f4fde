"""From the sandbox's webhooks, doubled and out of order, over a socket into the ledger."""

import asyncio
import socket
import threading
import time
from collections import Counter

import pytest

from engage_pipeline.accounts.opening import open_channels
from engage_pipeline.channels.http import NotLoopback
from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.telling import Teller
from engage_pipeline.clock import utc_now
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.apply import apply_events
from engage_pipeline.webhooks.serve import webhook_server
from tests.integration.ledger_world import CHANNELS, World, flow_of


@pytest.fixture
def world(database, connection, sandbox, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(
        home=tmp_path,
        database_url=database,
        sandbox_url=sandbox.url,
        webhook_port=port,
        public_url=f"http://127.0.0.1:{port}",
        request_timeout_seconds=5,
    )
    server = webhook_server(settings, database)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the webhook application did not start"
        time.sleep(0.01)

    class Chain(World):
        def channel(self, action_type):
            return open_channels(self.connection, self.settings)[action_type]

    sandbox.tell(settings.public_url)
    yield Chain(database, connection, sandbox, settings)
    server.should_exit = True
    thread.join()


async def test_every_channel_ends_with_its_outcome(world):
    world.sandbox.behave(
        outcome_seconds=0.2,
        answered_share=1,
        delivered_share=1,
        read_share=1,
        opt_out_share=0,
        bounced_share=0,
        opened_share=1,
        complained_share=0,
        webhook_duplicated_share=0.5,
        webhook_reordered_share=0.5,
    )
    world.apply(flow_of(*CHANNELS))
    for _ in range(5):
        world.contact()
    await world.settle()
    channels = open_channels(world.connection, world.settings)
    deadline = time.monotonic() + 30
    wanted = {"answered": 5, "read": 5, "opened": 5}
    seen = Counter()
    while seen != wanted and time.monotonic() < deadline:
        await asyncio.to_thread(apply_events, world.connection, channels, world.settings, now=utc_now())
        seen = Counter(
            outcome for (outcome,) in world.connection.execute("select outcome from flow_action_logs").fetchall()
        )
        await asyncio.sleep(0.1)
    assert seen == wanted
    assert set(world.statuses()) == {"success"}
    assert set(world.executions()) == {"completed"}
    assert world.books().problems == ()
    results = world.connection.execute("select distinct result from provider_events where result is not null")
    assert results.fetchall() == [("applied",)]


def test_the_sandbox_calls_back_on_this_machine_only():
    with pytest.raises(NotLoopback):
        Teller("https://hooks.example.com", Behaviour())
