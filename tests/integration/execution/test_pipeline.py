"""The pipeline of a run: calls overlap with records, and a request to terminate waits for what is in flight."""

import asyncio
import signal
import threading
import time

import pytest

from engage_pipeline.channels.http import ProviderClient
from engage_pipeline.execution import dispatch as dispatch_module
from engage_pipeline.execution.dispatch import dispatch_due
from tests.integration.ledger_world import QUICK, flow_of


@pytest.fixture
def small_chunks(world):
    world.settings = QUICK.model_copy(update={"chunk_size": 2})
    return world


async def send(world, lease):
    async with world.client() as client:
        return await dispatch_due(world.url, lease, world.channel("email"), client, world.settings)


async def test_the_next_chunk_is_on_its_way_before_this_one_is_recorded(small_chunks):
    small_chunks.sandbox.behave(latency_ms=500)
    small_chunks.apply(flow_of("email"))
    for _ in range(4):
        small_chunks.contact()
    await send(small_chunks, small_chunks.started())
    logs = small_chunks.logs()
    assert [log.status for log in logs] == ["success"] * 4
    assert max(log.executed_at for log in logs) < min(log.completed_at for log in logs)


async def test_no_more_than_four_chunks_are_claimed_and_not_yet_recorded(small_chunks, monkeypatch):
    small_chunks.sandbox.behave(latency_ms=200)
    small_chunks.apply(flow_of("email"))
    for _ in range(19):
        small_chunks.contact()
    lease = small_chunks.started()
    seen = []
    claim_due = dispatch_module.claim_due

    def counting(*arguments, **options):
        claim = claim_due(*arguments, **options)
        seen.append(small_chunks.statuses().count("sending"))
        return claim

    monkeypatch.setattr(dispatch_module, "claim_due", counting)
    await send(small_chunks, lease)
    assert small_chunks.statuses() == ["success"] * 19
    assert 4 < max(seen) <= 8


async def test_what_is_claimed_while_a_record_fails_is_not_sent(small_chunks, monkeypatch):
    small_chunks.apply(flow_of("email"))
    for _ in range(6):
        small_chunks.contact()
    lease = small_chunks.started()
    claims, failed = [], threading.Event()
    claim_due = dispatch_module.claim_due

    def second_claim_waits(*arguments, **options):
        claims.append(1)
        if len(claims) > 1:
            failed.wait(10)
            time.sleep(0.05)
        return claim_due(*arguments, **options)

    def fails(*_arguments, **_options):
        failed.set()
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(dispatch_module, "claim_due", second_claim_waits)
    monkeypatch.setattr(dispatch_module, "record_answers", fails)
    with pytest.raises(RuntimeError, match="the disk is full"):
        await send(small_chunks, lease)
    await asyncio.sleep(0.1)
    assert len(claims) == 2
    assert small_chunks.statuses().count("sending") == 4
    assert len(small_chunks.effects()) == 2


async def test_an_answer_does_not_wait_for_a_slow_one(small_chunks):
    small_chunks.sandbox.inject("hangs", at_request=1)
    small_chunks.apply(flow_of("email"))
    for _ in range(2):
        small_chunks.contact()
    sending = asyncio.create_task(send(small_chunks, small_chunks.started()))
    while "success" not in small_chunks.statuses():
        await asyncio.sleep(0.02)
        assert not sending.done()
    assert small_chunks.statuses().count("sending") == 1
    await sending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_request_to_terminate_waits_until_the_calls_in_flight_are_recorded(small_chunks, number):
    small_chunks.sandbox.behave(latency_ms=300)
    small_chunks.apply(flow_of("email"))
    for _ in range(7):
        small_chunks.contact()
    lease = small_chunks.started()
    statuses_when_told = []
    before = signal.signal(number, lambda *_: statuses_when_told.append(small_chunks.statuses()))
    try:
        sending = asyncio.create_task(send(small_chunks, lease))
        while "sending" not in small_chunks.statuses():
            assert not sending.done()
            await asyncio.sleep(0.01)
        signal.raise_signal(number)
        await sending
    finally:
        signal.signal(number, before)
    (statuses,) = statuses_when_told
    assert set(statuses) == {"pending", "success"}
    assert statuses.count("success") == len(small_chunks.effects())


async def test_what_was_answered_is_recorded_before_an_error_of_ours_ends_the_run(small_chunks, monkeypatch):
    small_chunks.apply(flow_of("email"))
    for _ in range(4):
        small_chunks.contact()
    lease = small_chunks.started()
    broken = iter([False, True, False, False])
    post = ProviderClient.request

    async def request(*arguments, **options):
        if next(broken):
            raise ZeroDivisionError
        return await post(*arguments, **options)

    monkeypatch.setattr(ProviderClient, "request", request)
    with pytest.raises(ZeroDivisionError):
        await send(small_chunks, lease)
    statuses = small_chunks.statuses()
    assert statuses.count("sending") == 1
    assert statuses.count("success") == len(small_chunks.effects()) >= 1
