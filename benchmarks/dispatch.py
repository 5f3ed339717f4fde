"""Actions a second through the whole send path, beside a bare loop of the same requests and a worker going row by row.

The whole path claims, stores the intent, calls, records the answer and writes what is next. The bare loop posts the
same bodies with the same client, transport and number of connections, and nothing else. aiohttp and httpx as they come
are for reference. The sandbox runs in a process of its own on the same machine. A figure is the median of the repeats.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import psutil
import psycopg

from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.registry import sandbox_channels
from engage_pipeline.clock import utc_now
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease, acquire
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.execution import dispatch
from engage_pipeline.execution.batches import form_batches
from engage_pipeline.execution.start import start_executions
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows
from engage_pipeline.matching.batch import assign_batch
from engage_pipeline.settings import PROJECT_ROOT, Settings

FLOW = Flow.model_validate(
    {
        "name": "Welcome",
        "priority": 0,
        "actions": [
            {
                "action_order": 1,
                "action_type": "email",
                "action_config": {"template_id": "welcome", "variables": ["first_name"]},
            },
            # Recording an answer then writes the log of a next action, as it does in a real flow.
            {"action_order": 2, "action_type": "wait", "action_config": {"duration_minutes": 1440}},
        ],
    }
)

ROW_AT_A_TIME_ACTIONS = 500
HTTPX_ACTIONS = 1000  # its pool is quadratic, and all 20,000 would take minutes


class Bench:
    """A database, a tenant with one flow, and a sandbox that answers after a while."""

    def __init__(self, url: str, connection: Connection, settings: Settings) -> None:
        self.url, self.connection, self.settings = url, connection, settings
        self.tenant = ensure_tenant(connection, "bench")
        apply_flows(connection, self.tenant, [FLOW])
        self.channel = sandbox_channels(settings.sandbox_url)["email"]
        self.connections = dispatch.CHUNKS_AT_ONCE * settings.chunk_size

    def due_batch(self, actions: int) -> Lease:
        """The lease of a batch with so many new e-mails due now."""
        self.connection.execute(
            "insert into contacts (user_id, entry_type, email, first_name)"
            " select %s, 'api', 'lead' || n || '-' || %s || '@example.com', 'Lead' from generate_series(1, %s) as n",
            [self.tenant.user_id, uuid4().hex[:8], actions],
        )
        (batch,) = form_batches(
            self.connection, "new_contacts", self.settings.model_copy(update={"batch_size": actions})
        )
        lease = acquire(self.connection, "micro_batches", batch.batch_id, attempt=batch.attempt, lease_seconds=3600)
        assert lease is not None
        assign_batch(self.url, lease)
        start_executions(self.connection, lease, now=utc_now())
        self.connection.execute("vacuum analyze")
        return lease

    def bodies(self, actions: int) -> list[tuple[bytes, dict[str, str]]]:
        """What the channel would send, ready to be posted, each under a key of its own."""
        config = FLOW.actions[0].action_config
        requests = []
        for number in range(actions):
            key = str(uuid4())
            recipient = Recipient(email=f"lead{number}@example.com", first_name="Lead")
            body = self.channel.prepare(recipient, config, reference=key)
            headers = {
                "Content-Type": "application/json",
                "Idempotency-Key": key,
                "Authorization": "Bearer nobody",  # the key of a channel for no tenant in particular
            }
            requests.append((json.dumps(body, sort_keys=True, separators=(",", ":")).encode(), headers))
        return requests

    @property
    def address(self) -> str:
        return f"{self.settings.sandbox_url}/resend/emails"


async def through_the_whole_path(bench: Bench, actions: int) -> dict[str, float]:
    """Seconds, and how many of them the ledger's statements and their Python took, mostly beside calls in flight."""
    lease = bench.due_batch(actions)
    ledger_seconds = 0.0

    def timed(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal ledger_seconds
            began = time.perf_counter()
            try:
                return step(*arguments, **options)
            finally:
                ledger_seconds += time.perf_counter() - began

        return run

    steps = {name: getattr(dispatch, name) for name in ("claim_due", "record_answers")}
    for name, step in steps.items():
        setattr(dispatch, name, timed(step))
    try:
        async with dispatch.dispatch_client(bench.settings) as client:
            began, cpu_began = time.perf_counter(), time.process_time()
            report = await dispatch.dispatch_due(bench.url, lease, bench.channel, client, bench.settings)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    finally:
        for name, step in steps.items():
            setattr(dispatch, name, step)
    sent = sum(report.statuses[status] for status in ("success", "sent"))
    assert sent == actions, f"{report.statuses} of {actions}"
    bench.connection.execute("update micro_batches set status = 'done', lease_expires_at = null")
    return {"seconds": seconds, "ledger_seconds": ledger_seconds, "cpu_seconds": cpu_seconds}


async def bare_loop(bench: Bench, actions: int) -> dict[str, float]:
    """The same client, transport and connections as the path's own."""
    async with dispatch.dispatch_client(bench.settings) as client:

        async def post(body: bytes, headers: dict[str, str]) -> int:
            return (await client.request("POST", bench.address, content=body, headers=headers)).status_code

        return await _post_all(bench, actions, post)


async def plain_aiohttp(bench: Bench, actions: int) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=bench.connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(body: bytes, headers: dict[str, str]) -> int:
            async with session.post(bench.address, data=body, headers=headers) as response:
                await response.read()
                return response.status

        return await _post_all(bench, actions, post)


async def plain_httpx(bench: Bench, actions: int) -> dict[str, float]:
    # Its pool keeps the loop busy for longer than a server keeps an idle connection, which httpx would then use again.
    limits = httpx.Limits(max_connections=bench.connections, keepalive_expiry=1)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:

        async def post(body: bytes, headers: dict[str, str]) -> int:
            return (await client.post(bench.address, content=body, headers=headers)).status_code

        return await _post_all(bench, actions, post)


async def row_at_a_time(bench: Bench, actions: int) -> dict[str, float]:
    """Select a due log, call, update, commit: the worker that one writes first."""
    lease = bench.due_batch(actions)
    began = time.perf_counter()
    async with dispatch.dispatch_client(bench.settings) as client:
        with psycopg.connect(bench.url) as connection:
            # It knows no states, which the ledger's triggers would hold it to.
            connection.execute("set session_replication_role = replica")
            while True:
                row = connection.execute(
                    "select logs.id, contacts.email, contacts.first_name from flow_action_logs as logs"
                    " inner join flow_executions as executions on logs.execution_id = executions.id"
                    " inner join contacts on executions.contact_id = contacts.id"
                    " where logs.micro_batch_id = %s and logs.status = 'pending' and logs.action_type = 'email'"
                    " and logs.due_at <= now() order by logs.due_at limit 1 for update of logs",
                    [lease.work_id],
                ).fetchone()
                if row is None:
                    break
                log_id, email, first_name = row
                recipient = Recipient(email=email, first_name=first_name)
                request = bench.channel.prepare(recipient, FLOW.actions[0].action_config, reference=str(log_id))
                await bench.channel.send(client, request, reference=str(log_id))
                connection.execute(
                    "update flow_action_logs set status = 'success', due_at = null, micro_batch_id = null,"
                    " executed_at = now(), completed_at = now() where id = %s",
                    [log_id],
                )
                connection.commit()
    seconds = time.perf_counter() - began
    bench.connection.execute("update micro_batches set status = 'done', lease_expires_at = null")
    return {"seconds": seconds}


async def _post_all(
    bench: Bench, actions: int, post: Callable[[bytes, dict[str, str]], Awaitable[int]]
) -> dict[str, float]:
    requests = iter(bench.bodies(actions))
    began, cpu_began = time.perf_counter(), time.process_time()

    async def work() -> None:
        for body, headers in requests:
            assert await post(body, headers) == 200

    await asyncio.gather(*(work() for _ in range(bench.connections)))
    return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}


@contextmanager
def sandbox(settings: Settings, latency_ms: float) -> Iterator[psutil.Process]:
    """The sandbox providers in a process of their own, obliging, with nothing on record: what they know costs time."""
    (settings.home / "sandbox" / "requests.jsonl").unlink(missing_ok=True)
    behaviour = settings.home / "behaviour.json"
    behaviour.write_text(json.dumps({"latency_ms": latency_ms, "refused_share": 0, "deferred_share": 0}))
    environment = {**os.environ, "ENGAGE_HOME": str(settings.home), "ENGAGE_SANDBOX_URL": settings.sandbox_url}
    child = subprocess.Popen(
        [sys.executable, "-m", "engage_pipeline.cli", "sandbox", "--behaviour", str(behaviour)],
        cwd=PROJECT_ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(f"{settings.sandbox_url}/health"):
            assert child.poll() is None, "the sandbox did not start"
            time.sleep(0.1)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def measure(bench: Bench, latency_ms: float, peer: str, run: Any, actions: int, repeats: int) -> dict[str, Any]:
    """One line of the results; each run has a new sandbox."""
    runs = []
    for _ in range(repeats):
        with sandbox(bench.settings, latency_ms) as process:
            before = process.cpu_times()
            figures = asyncio.run(run(bench, actions))
            after = process.cpu_times()
        figures["sandbox_cpu_seconds"] = after.user + after.system - before.user - before.system
        runs.append(figures)
    middle = sorted(runs, key=lambda each: each["seconds"])[len(runs) // 2]
    row = {"peer": peer, "actions": actions, "actions_per_second": round(actions / middle["seconds"], 1)}
    row |= {name: round(value, 3) for name, value in middle.items()}
    row["all_seconds"] = [round(each["seconds"], 3) for each in runs]
    return row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--actions", type=int, default=20_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--chunk-size", type=int, default=Settings().chunk_size)
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "dispatch.json")
    options = arguments.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="engage-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        url = embedded.start(home)
        try:
            migrate(url)
            settings = Settings(
                home=home, database_url=url, sandbox_url="http://127.0.0.1:8931", chunk_size=options.chunk_size
            )
            with connect(url) as connection:
                bench = Bench(url, connection, settings)
                peers: list[tuple[str, Any, int, int]] = [
                    ("bare loop", bare_loop, options.actions, options.repeats),
                    ("engage", through_the_whole_path, options.actions, options.repeats),
                    ("aiohttp", plain_aiohttp, options.actions, 1),
                    ("httpx as it comes", plain_httpx, min(HTTPX_ACTIONS, options.actions), 1),
                    ("row at a time", row_at_a_time, min(ROW_AT_A_TIME_ACTIONS, options.actions), 1),
                ]
                for latency_ms in (0, 50):
                    for peer, run, actions, repeats in peers:
                        row = measure(bench, latency_ms, peer, run, actions, repeats)
                        results.append({"latency_ms": latency_ms, **row})
                        print(json.dumps(results[-1]), flush=True)
        finally:
            embedded.stop(home)
    summary = [_summary(results, latency_ms) for latency_ms in (0, 50)]
    for line in summary:
        print(json.dumps(line))
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
    report = {
        "machine": machine,
        "chunk_size": options.chunk_size,
        "connections": dispatch.CHUNKS_AT_ONCE * options.chunk_size,
        "summary": summary,
        "rows": results,
    }
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def _summary(results: list[dict[str, Any]], latency_ms: int) -> dict[str, Any]:
    """The shares that the aims name. `sandbox_serves_per_second`: what it would serve with a core of its own."""
    rows = {row["peer"]: row for row in results if row["latency_ms"] == latency_ms}
    engage = rows["engage"]
    rate = {peer: row["actions_per_second"] for peer, row in rows.items()}
    return {
        "latency_ms": latency_ms,
        "share_of_bare_loop": round(rate["engage"] / rate["bare loop"], 3),
        "times_row_at_a_time": round(rate["engage"] / rate["row at a time"], 1),
        # Claims and records go on two connections at once.
        "ledger_share_of_time": round(engage["ledger_seconds"] / engage["seconds"] / 2, 3),
        "sandbox_serves_per_second": round(
            statistics.median(
                row["actions"] / row["sandbox_cpu_seconds"] for row in rows.values() if row["peer"] != "row at a time"
            )
        ),
    }


if __name__ == "__main__":
    main()
