"""`make bench-webhooks`: how fast providers' events are taken, stored, and applied to the ledger.

Everything runs on an embedded PostgreSQL of its own with its default durability, one after another. Whoever sends is on
the same machine. A figure is the median of the rounds, each in a database of its own:

- steady: 200 signed webhooks a second, sent by the clock whether or not the last one was answered; latencies;
- flood: as many as 32 connections bring; events stored in a minute by the one process of the application;
- apply: events of 100,000 sent e-mails, stored beforehand, applied in micro-batches as the sensor does it.
"""

import argparse
import asyncio
import atexit
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aiohttp
import httpx
import psycopg
from psycopg import sql

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import open_channels
from engage_pipeline.accounts.store import ensure_sandbox_accounts, list_accounts
from engage_pipeline.channels.sandbox.keys import SandboxKey, read_key
from engage_pipeline.channels.sandbox.telling import signed_headers
from engage_pipeline.clock import utc_now
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import connect
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows, find_flow
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.apply import apply_events

RESULTS = Path(__file__).parent / "results" / "webhooks.json"
STEADY_PER_SECOND = 200
FLOOD_CONNECTIONS = 32


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20, help="length of the steady part and of the flood")
    parser.add_argument("--events", type=int, default=100_000, help="events to apply")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="engage-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    home.chmod(0o755)
    server_url = embedded.start(home / "server")
    load_before = os.getloadavg()[0]
    try:
        rounds = [
            _measure(_new_database(server_url, f"round_{number}"), home, arguments.seconds, arguments.events)
            for number in range(arguments.rounds)
        ]
    finally:
        embedded.stop(home / "server")
    results = {
        **{part: _medians([each[part] for each in rounds]) for part in ("steady", "flood", "apply")},
        "rounds": rounds,
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": round(load_before, 2),
        },
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def _new_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def _medians(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: statistics.median(part[name] for part in parts) for name in parts[0]}


def _measure(url: str, home: Path, seconds: int, events: int) -> dict[str, Any]:
    """One round."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(home=home, database_url=url, webhook_port=port, public_url=f"http://127.0.0.1:{port}")
    migrate(url)
    key = _prepare(settings, url)
    application = _start(settings)
    try:
        steady = asyncio.run(_steady(settings, key, seconds))
        flood = asyncio.run(_flood(settings, key, seconds))
    finally:
        application.terminate()
        application.wait()
    stored = _stored(url)
    assert stored == steady["sent"] + flood["stored"], (stored, steady, flood)
    return {"steady": steady, "flood": flood, "apply": _apply(settings, url, events)}


def _prepare(settings: Settings, url: str) -> SandboxKey:
    with connect(url) as connection:
        ensure_tenant(connection, "bench")
        keyring = Keyring(settings)
        ensure_sandbox_accounts(connection, keyring)
        (account,) = [each for each in list_accounts(connection) if each.provider == "resend"]
        key = read_key(f"Bearer {keyring.open(account.sealed, account_id=account.account_id)['api_key']}")
    assert key is not None
    return key


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "engage_pipeline.cli", "webhooks"],
        env={
            **os.environ,
            "ENGAGE_HOME": str(settings.home),
            "ENGAGE_DATABASE_URL": str(settings.database_url),
            "ENGAGE_WEBHOOK_PORT": str(settings.webhook_port),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            httpx.get(f"{settings.public_url}/health", trust_env=False)
        except httpx.TransportError:
            assert process.poll() is None, "the application did not start"
            time.sleep(0.05)
        else:
            return process


async def _post(session: aiohttp.ClientSession, settings: Settings, key: SandboxKey) -> float:
    """One signed webhook; gives its seconds."""
    message_id = f"msg_{uuid4().hex}"
    raw = json.dumps(
        {
            "type": "email.delivered",
            "created_at": utc_now().isoformat(),
            "data": {"email_id": str(uuid4()), "to": ["lead@example.com"], "tags": {"action_log_id": str(uuid4())}},
        }
    ).encode()
    headers = signed_headers("resend", key, raw, message_id=message_id, now=utc_now())
    began = time.perf_counter()
    url = f"{settings.public_url}/webhooks/resend/{key.token}"
    async with session.post(url, data=raw, headers=headers) as response:
        await response.read()
        assert response.status == 200, response.status
    return time.perf_counter() - began


async def _steady(settings: Settings, key: SandboxKey, seconds: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        begin = loop.time()
        tasks = []
        for number in range(STEADY_PER_SECOND * seconds):
            await asyncio.sleep(max(begin + number / STEADY_PER_SECOND - loop.time(), 0))
            tasks.append(asyncio.create_task(_post(session, settings, key)))
        latencies = sorted(await asyncio.gather(*tasks))
    return {
        "per_second": STEADY_PER_SECOND,
        "sent": len(latencies),
        **{f"p{share}_ms": round(latencies[len(latencies) * share // 100] * 1000, 1) for share in (50, 95, 99)},
        "most_ms": round(latencies[-1] * 1000, 1),
    }


async def _flood(settings: Settings, key: SandboxKey, seconds: int) -> dict[str, Any]:
    ends_at = time.perf_counter() + seconds

    async def worker(session: aiohttp.ClientSession) -> list[float]:
        latencies = []
        while time.perf_counter() < ends_at:
            latencies.append(await _post(session, settings, key))
        return latencies

    began = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        parts = await asyncio.gather(*(worker(session) for _ in range(FLOOD_CONNECTIONS)))
    took = time.perf_counter() - began
    latencies = sorted(latency for part in parts for latency in part)
    return {
        "connections": FLOOD_CONNECTIONS,
        "stored": len(latencies),
        "events_per_minute": round(len(latencies) / took * 60),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 1),
    }


def _stored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from provider_events").fetchone()
    return int(row[0]) if row else 0


def _apply(settings: Settings, url: str, events: int) -> dict[str, Any]:
    with connect(url) as connection:
        _fill(connection, events)
        channels = open_channels(connection, settings)
        batches = 0
        began = time.perf_counter()
        while apply_events(connection, channels, settings, now=utc_now()).event_count:
            batches += 1
        took = time.perf_counter() - began
        row = connection.execute("select count(*) from flow_action_logs where outcome = 'delivered'").fetchone()
        assert row == (events,), row
    return {"events": events, "seconds": round(took, 2), "events_per_second": round(events / took), "batches": batches}


def _fill(connection: Any, events: int) -> None:
    """As many contacts, each with a sent e-mail, and the event that it was delivered."""
    tenant = ensure_tenant(connection, "bench")
    action = {"action_order": 1, "action_type": "email", "action_config": {"template_id": "t"}}
    flow = Flow.model_validate({"name": "Bench", "priority": 0, "actions": [action]})
    apply_flows(connection, tenant, [flow])
    stored = find_flow(connection, tenant, "Bench")
    given = {"user_id": tenant.user_id, "flow_id": stored.flow_id, "version": stored.version, "count": events}
    connection.execute("truncate provider_events")
    batch = connection.execute(
        "insert into micro_batches (kind, item_count, status) values ('new_contacts', %(count)s, 'done') returning id",
        given,
    ).fetchone()
    given["batch"] = batch[0]
    connection.execute(
        "insert into contacts (user_id, entry_type, email, micro_batch_id) select %(user_id)s, 'bulk',"
        " 'lead' || number || '@example.com', %(batch)s from generate_series(1, %(count)s) as numbers (number)",
        given,
    )
    connection.execute(
        "insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status)"
        " select %(flow_id)s, %(version)s, user_id, id, micro_batch_id, 'running' from contacts",
        given,
    )
    connection.execute(
        "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, due_at,"
        " attempt_count, executed_at, accepted_at, outcome, provider_message_id) select id, user_id, 1, 'email',"
        " 'sent', now() + interval '1 day', 1, now(), now(), 'accepted', gen_random_uuid()::text from flow_executions"
    )
    connection.execute(
        "insert into provider_events (account_id, event_key, body)"
        " select accounts.id, 'msg_' || logs.id, json_build_object('type', 'email.delivered', 'created_at', now(),"
        " 'data', json_build_object('email_id', logs.provider_message_id, 'to', json_build_array('lead@example.com'),"
        " 'tags', json_build_object('action_log_id', logs.id)))::text"
        " from flow_action_logs as logs cross join channel_accounts as accounts where accounts.channel = 'email'"
    )
    connection.execute("vacuum analyze")
    connection.execute("checkpoint")  # what was filled in is not written while events are applied


if __name__ == "__main__":
    main()
