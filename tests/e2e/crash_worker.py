"""A run worker that dies where a test says: it ticks like the daemon and runs batches like the jobs, without Dagster.

Points are counted in the order in which the worker reaches them. At the chosen one it sends itself SIGKILL, or SIGSTOP
to freeze, which nothing in the process can notice. The product knows nothing of this: psycopg and the providers'
client are wrapped in here alone.
"""

import asyncio
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg

from engage_pipeline.channels.http import ProviderClient
from engage_pipeline.database.connections import connect
from engage_pipeline.database.leases import kept_alive
from engage_pipeline.execution.batches import BatchKind, finish_batch
from engage_pipeline.settings import Settings
from tests.integration.ledger_world import World

POINTS = ("before commit", "after commit", "before request", "during request", "after request")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Point:
    """The `number`th time that something of this kind is reached, counted from 1."""

    kind: str
    number: int


@dataclass(frozen=True)
class Task:
    """What a worker needs to know. `counts_file`: where it writes how often it reached each kind of point."""

    url: str
    sandbox_url: str
    settings: Settings
    dies_at: Point | None = None
    dies_of: signal.Signals = signal.SIGKILL
    is_endless: bool = False
    counts_file: Path | None = None


def start(task: Task) -> BaseProcess:
    """A worker in a process of its own, forked from a server that has imported everything already."""
    process = _CONTEXT.Process(target=_work, args=(task,))
    process.start()
    return process


def _work(task: Task) -> None:
    reached: Counter[str] = Counter()

    def reach(kind: str) -> None:
        reached[kind] += 1
        if task.dies_at == Point(kind, reached[kind]):
            os.kill(os.getpid(), task.dies_of)

    _watch_commits(reach)
    _watch_requests(reach)
    asyncio.run(_run_batches(task))
    if task.counts_file:
        task.counts_file.write_text(json.dumps(reached))


async def _run_batches(task: Task) -> None:
    kinds: tuple[BatchKind, ...] = ("new_contacts", "due_actions")
    with connect(task.url, idle_seconds=task.settings.lease_seconds) as connection:
        world = World(task.url, connection, SimpleNamespace(url=task.sandbox_url), settings=task.settings)
        while True:
            batches = [(batch, kind) for kind in kinds for batch in world.tick(kind)]
            if not batches and not task.is_endless:
                return
            for batch, kind in batches:
                lease = world.try_to_take(batch)
                if lease is None:
                    continue
                with kept_alive(task.url, lease, lease_seconds=task.settings.lease_seconds):
                    if kind == "new_contacts":
                        world.start(lease)
                    await world.dispatch(lease)
                    finish_batch(connection, lease)
            await asyncio.sleep(0.02)


def _watch_commits(reach: Any) -> None:
    begin = psycopg.Connection.transaction

    @contextmanager
    def transaction(self: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with begin(self, *arguments, **options) as inner:
            yield inner
            reach("before commit")
        reach("after commit")

    psycopg.Connection.transaction = transaction  # type: ignore[method-assign]


def _watch_requests(reach: Any) -> None:
    send = ProviderClient.request

    async def request(self: Any, *arguments: Any, **options: Any) -> httpx.Response:
        reach("before request")
        # The sandbox takes longer than this, so the request has been read and not answered.
        dying = asyncio.get_running_loop().call_later(0.015, reach, "during request")
        response = await send(self, *arguments, **options)
        dying.cancel()
        reach("after request")
        return response

    ProviderClient.request = request  # type: ignore[method-assign]
