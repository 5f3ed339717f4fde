"""How fast the API reads and creates on one worker, beside a bare endpoint that runs the same statements.

    make bench-api [CONTACTS=1000000]

One tenant with so many contacts and executions on an embedded PostgreSQL, the API in a process of its own, and a client
of raw sockets in another one, which costs little of the machine. Each figure is the median of three rounds. Beside each
read stands a bare FastAPI application (`api_bare`): it decodes the same token, runs the same statements as the same
role, and lets the framework make JSON of the rows. The p99 is taken while requests come at half the rate that was
reached.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.warehouse import build_warehouse
from engage_pipeline.api.tokens import issue_token
from engage_pipeline.clock import utc_now
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import create_flow
from engage_pipeline.intake.generator import AREA_CODES, PHONE_COUNT
from engage_pipeline.settings import Settings

RESULTS = Path(__file__).parent / "results" / "api.json"
SECRET = "a secret of the benchmark, long enough for HS256"  # noqa: S105
ROUNDS = 3
SECONDS = 6.0
CONNECTIONS = 8
FLOWS = 5
API_PORT, BARE_PORT = 8961, 8962


def main() -> None:
    """Make the installation, measure, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    # Not below a private folder: as root the server runs as another user.
    with tempfile.TemporaryDirectory(prefix="engage-bench-api-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        settings = Settings(home=home / "data", jwt_secret=SECRET)
        url = embedded.start(settings.home)
        try:
            migrate(url)
            world = make_world(settings, url, asked.contacts)
            found = measure(settings, url, world, seconds=asked.seconds)
        finally:
            embedded.stop(settings.home)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "contacts": asked.contacts,
        "executions": asked.contacts,
        "connections": CONNECTIONS,
        "rounds": ROUNDS,
        "load_average_before": world["load"],
        **found,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def make_world(settings: Settings, url: str, count: int) -> dict[str, Any]:
    """One tenant with flows, contacts, executions, their logs, and a published warehouse."""
    load = round(os.getloadavg()[0], 2)
    with connect(url) as connection:
        connection.execute("set synchronous_commit = off")
        tenant = ensure_tenant(connection, "bench")
        flows = [
            create_flow(
                connection,
                tenant,
                Flow.model_validate(
                    {
                        "name": f"Flow {number}",
                        "priority": number,
                        "actions": [
                            {"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}},
                            {"action_order": 2, "action_type": "wait", "action_config": {"duration_minutes": 60}},
                            {"action_order": 3, "action_type": "email", "action_config": {"template_id": "again"}},
                        ],
                    }
                ),
            ).flow_id
            for number in range(FLOWS)
        ]
        _fill(connection, tenant.user_id, flows, count)
    build_warehouse(url, settings.warehouse, models_folder=MODELS_FOLDER, now=utc_now())
    with connect(url) as connection:
        executions = connection.execute(
            "select id from flow_executions order by triggered_at desc limit 1000"
        ).fetchall()
    token = issue_token(
        settings,
        user_id=tenant.user_id,
        role="admin",
        subject="bench",
        now=utc_now(),
        lasts=timedelta(hours=6),
    )
    return {
        "token": token,
        "user_id": tenant.user_id,
        "flow_id": flows[0],
        "executions": [row[0] for row in executions],
        "load": load,
    }


def _fill(connection: Connection, user_id: UUID, flows: list[UUID], count: int) -> None:
    connection.execute(
        "with batch as (insert into micro_batches (kind, status, item_count)"
        " values ('new_contacts', 'done', 1) returning id)"
        " insert into contacts (user_id, email, phone_e164, first_name, lead_source, entry_type, micro_batch_id)"
        " select %s, 'lead' || n || '@example.com', '+1' || 2000000000 + n, 'Ada', 'Source ' || n %% 20, 'bulk_upload',"
        " batch.id from batch, generate_series(1, %s) as n",
        [user_id, count],
    )
    connection.execute(
        "insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status, triggered_at)"
        " select (%s::uuid[])[1 + (n %% %s)], 1, %s, id, micro_batch_id,"
        " case when n %% 10 < 6 then 'completed' when n %% 10 < 8 then 'running' else 'failed' end,"
        " now() - n * interval '1 second'"
        " from (select id, micro_batch_id, row_number() over () as n from contacts) as numbered",
        [flows, len(flows), user_id],
    )
    connection.execute(
        "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, outcome, executed_at,"
        " accepted_at, completed_at) select id, user_id, action_order, 'email', 'success', 'delivered', triggered_at,"
        " triggered_at, triggered_at from flow_executions, generate_series(1, 3, 2) as action_order"
    )
    connection.execute("vacuum analyze")


def measure(settings: Settings, url: str, world: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Every figure, the API and the bare application one after the other in each round."""
    reads = {
        "list": lambda number: "/api/auto-engagement/executions?limit=50",
        "detail": lambda number: f"/api/auto-engagement/executions/{world['executions'][number % 1000]}",
        "flow_statistics": lambda number: f"/api/auto-engagement/flows/{world['flow_id']}/statistics",
        "execution_statistics": lambda number: "/api/auto-engagement/executions/statistics",
        "flows": lambda number: "/api/auto-engagement/flows",
    }
    environment = {
        **os.environ,
        "ENGAGE_HOME": str(settings.home),
        "ENGAGE_DATABASE_URL": url,
        "ENGAGE_JWT_SECRET": SECRET,
        "ENGAGE_API_TOKEN_REQUESTS_PER_MINUTE": "100000000",
        "ENGAGE_API_ADDRESS_REQUESTS_PER_MINUTE": "100000000",
    }
    found: dict[str, Any] = {"reads": {}}
    with (
        _serving(
            ["engage_pipeline.cli", "api"], API_PORT, {**environment, "ENGAGE_WEBHOOK_PORT": str(API_PORT)}
        ) as api_process,
        _serving(["benchmarks.api_bare", str(BARE_PORT)], BARE_PORT, environment) as bare_process,
    ):
        for name, path in reads.items():
            rates: dict[str, list[float]] = {"api": [], "bare": []}
            cpu_ms: dict[str, list[float]] = {"api": [], "bare": []}
            latencies: list[dict[str, float]] = []
            for _ in range(ROUNDS):
                for which, port, process in (("bare", BARE_PORT, bare_process), ("api", API_PORT, api_process)):
                    before = _cpu_seconds(process)
                    rate, count = asyncio.run(_rate(port, world["token"], path, seconds))
                    rates[which].append(rate)
                    cpu_ms[which].append((_cpu_seconds(process) - before) / count * 1000)
                latencies.append(asyncio.run(_latency(API_PORT, world["token"], path, rates["api"][-1] / 2, seconds)))
            api, bare = statistics.median(rates["api"]), statistics.median(rates["bare"])
            found["reads"][name] = {
                "requests_per_second": round(api),
                "bare_requests_per_second": round(bare),
                "share_of_bare": round(api / bare, 2),
                "cpu_ms": round(statistics.median(cpu_ms["api"]), 2),
                "bare_cpu_ms": round(statistics.median(cpu_ms["bare"]), 2),
                "share_of_bare_by_cpu": round(statistics.median(cpu_ms["bare"]) / statistics.median(cpu_ms["api"]), 2),
                "p50_ms_at_half_load": round(statistics.median(each["p50"] for each in latencies), 1),
                "p99_ms_at_half_load": round(statistics.median(each["p99"] for each in latencies), 1),
            }
            print(name, found["reads"][name], file=sys.stderr)
        found["contacts_bulk"] = asyncio.run(_bulk(world["token"]))
        print(found["contacts_bulk"], file=sys.stderr)
        found["contact_single"] = asyncio.run(_single(world["token"], seconds))
        print(found["contact_single"], file=sys.stderr)
    return found


@contextmanager
def _serving(module: list[str], port: int, environment: dict[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while asyncio.run(_is_up(port)) is False:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{module} did not come up")
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _is_up(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class _Wire:
    """One kept connection that sends a request and reads its answer, with as little work as can be."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def __aenter__(self) -> "_Wire":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{self.head}{kind}\r\n".encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        length = int(lower[start : lower.index(b"\r", start)])
        return int(head[9:12]), await self.reader.readexactly(length)


Path_ = Callable[[int], str]


async def _rate(port: int, token: str, path: Path_, seconds: float) -> tuple[float, int]:
    """Requests a second with every connection always busy, and how many there were with those of the warm-up."""
    counts, all_counts = [0] * CONNECTIONS, [0] * CONNECTIONS

    async def work(place: int) -> None:
        async with _Wire(port, token) as wire:
            number = place
            while time.perf_counter() < end:
                status, body = await wire.send("GET", path(number))
                assert status == 200, body
                all_counts[place] += 1
                if time.perf_counter() >= begin:
                    counts[place] += 1
                number += CONNECTIONS

    # A second to warm up, in which nothing counts.
    begin = time.perf_counter() + 1
    end = begin + seconds
    await asyncio.gather(*(work(place) for place in range(CONNECTIONS)))
    return sum(counts) / seconds, sum(all_counts)


async def _latency(port: int, token: str, path: Path_, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds from the moment at which a request is due, at so many a second; a late start counts as waiting."""
    taken: list[float] = []
    gap = CONNECTIONS / rate
    begin = time.perf_counter() + 0.2

    async def work(place: int) -> None:
        async with _Wire(port, token) as wire:
            due = begin + place * gap / CONNECTIONS
            number = place
            while due < begin + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                status, body = await wire.send("GET", path(number))
                assert status == 200, body
                taken.append(time.perf_counter() - due)
                due += gap
                number += CONNECTIONS

    await asyncio.gather(*(work(place) for place in range(CONNECTIONS)))
    cuts = statistics.quantiles(taken, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


def _contact(number: int) -> dict[str, Any]:
    # As of generated leads: numbers that are set aside for fiction, which come again under other ids.
    place = number * 7919 % PHONE_COUNT
    return {
        "external_id": f"bench-{number}",
        "phone": f"({AREA_CODES[place // 100]}) 555-01{place % 100:02d}",
        "email": f"new{number}@example.com",
        "first_name": "Ada",
        "last_name": "Example",
        "company": "Example Inc.",
        "lead_source": f"Source {number % 20}",
        "tags": ["hot"],
        "custom_fields": {"Team size": number % 100, "Plan": "pro"},
    }


async def _bulk(token: str) -> dict[str, Any]:
    """Contacts a second, 1,000 in a request, one request after another."""
    rates: list[float] = []
    took: list[float] = []
    async with _Wire(API_PORT, token) as wire:
        number = 0
        for round_number in range(ROUNDS + 1):
            began = time.perf_counter()
            for _ in range(10):
                contacts = [_contact(number + place) for place in range(1000)]
                number += 1000
                body = json.dumps({"source_system": "bench", "contacts": contacts}).encode()
                sent = time.perf_counter()
                status, answer = await wire.send("POST", "/api/contacts/bulk", body)
                took.append(time.perf_counter() - sent)
                assert status == 200, answer
                assert json.loads(answer)["created"] == 1000, answer[:500]
            if round_number:
                rates.append(10_000 / (time.perf_counter() - began))
    return {
        "contacts_per_second": round(statistics.median(rates)),
        "ms_per_request_of_1000": round(statistics.median(took[10:]) * 1000),
    }


async def _single(token: str, seconds: float) -> dict[str, Any]:
    """Requests a second with one contact each, on every connection."""

    def body(number: int) -> bytes:
        return json.dumps({"source_system": "bench", **_contact(number)}).encode()

    rates: list[float] = []
    number = 10_000_000
    for _ in range(ROUNDS):
        counts = [0] * CONNECTIONS
        end = time.perf_counter() + seconds

        async def work(place: int, first: int, end: float = end, counts: list[int] = counts) -> None:
            async with _Wire(API_PORT, token) as wire:
                mine = first + place
                while time.perf_counter() < end:
                    status, answer = await wire.send("POST", "/api/contacts", body(mine))
                    assert status == 201, answer
                    counts[place] += 1
                    mine += CONNECTIONS

        works: list[Awaitable[None]] = [work(place, number) for place in range(CONNECTIONS)]
        await asyncio.gather(*works)
        number += 1_000_000
        rates.append(sum(counts) / seconds)
    return {"contacts_per_second": round(statistics.median(rates))}


if __name__ == "__main__":
    main()
