"""From a new lead to the request at the provider, on an idle installation with default settings, one lead at a time.

The time is split into tick wait (until a sensor tick has put the contact into a micro-batch), run start (until the
run has begun: request, queue, launch, imports) and work (match, start the execution, claim, and the request itself).
"""

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engage_pipeline.channels.sandbox.record import Entry
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows
from engage_pipeline.settings import Settings
from engage_pipeline.stack.installation import Installation, running

FLOW = Flow.model_validate(
    {
        "name": "Welcome",
        "priority": 0,
        "actions": [{"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}],
    }
)
TICK_SECONDS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--leads", type=int, default=30)
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "latency.json")
    options = arguments.parse_args()
    rng = random.Random(1)  # noqa: S311 - the moments within a tick, not a secret
    with tempfile.TemporaryDirectory(prefix="engage-bench-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder) / "engage")
        settings.home.mkdir()
        with running(settings, with_ui=False) as installation, connect(installation.url) as connection:
            tenant = ensure_tenant(connection, "bench")
            apply_flows(connection, tenant, [FLOW])
            rows = []
            # The first lead finds cold caches and is left out.
            for number in range(options.leads + 1):
                time.sleep(TICK_SECONDS + rng.uniform(0, TICK_SECONDS))
                rows.append(one_lead(installation, connection, tenant, number))
                print(json.dumps(rows[-1]), flush=True)
    report = {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]},
        "summary": summary(rows[1:]),
        "rows": rows[1:],
    }
    for name, figures in report["summary"].items():
        print(json.dumps({name: figures}))
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def one_lead(installation: Installation, connection: Connection, tenant: Tenant, number: int) -> dict[str, float]:
    """Insert a contact, wait for its e-mail and for the end of its run."""
    inserted_at = utc_now()
    connection.execute(
        "insert into contacts (user_id, entry_type, email) values (%s, 'api', %s)",
        [tenant.user_id, f"lead{number}@example.com"],
    )
    row: tuple[Any, ...] | None = None
    while row is None:
        time.sleep(0.2)
        row = connection.execute(
            "select batches.id, batches.formed_at, logs.id from micro_batches as batches"
            " inner join contacts on contacts.micro_batch_id = batches.id"
            " inner join flow_executions as executions on executions.contact_id = contacts.id"
            " inner join flow_action_logs as logs on logs.execution_id = executions.id"
            " where contacts.email = %s and batches.status = 'done'",
            [f"lead{number}@example.com"],
        ).fetchone()
    batch_id, batched_at, log_id = row
    requested_at = request_instant(installation.settings.sandbox_record, str(log_id))
    started_at = run_start(connection, str(batch_id))
    return {
        "seconds": (requested_at - inserted_at).total_seconds(),
        "tick_wait": (batched_at - inserted_at).total_seconds(),
        "run_start": (started_at - batched_at).total_seconds(),
        "work": (requested_at - started_at).total_seconds(),
    }


def request_instant(record: Path, reference: str) -> datetime:
    """When the sandbox took the request; what it then waits before it answers is not in it."""
    for line in reversed(record.read_text().splitlines()):
        entry = Entry(**json.loads(line))
        if entry.reference == reference:
            return datetime.fromisoformat(entry.at)
    raise AssertionError(f"the sandbox has no request of action log {reference}")


def run_start(connection: Connection, batch_id: str) -> datetime:
    """When Dagster's run of the batch began, by its own storage."""
    row = connection.execute(
        "select runs.start_time from dagster.runs inner join dagster.run_tags on runs.run_id = run_tags.run_id"
        " where run_tags.key = 'engage/micro_batch_id' and run_tags.value = %s",
        [batch_id],
    ).fetchone()
    assert row is not None
    return datetime.fromtimestamp(row[0], UTC)


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of the whole and of each part, in seconds."""
    return {
        name: {
            "p50": round(statistics.median(row[name] for row in rows), 3),
            "p95": round(statistics.quantiles((row[name] for row in rows), n=20, method="inclusive")[-1], 3),
        }
        for name in rows[0]
    }


if __name__ == "__main__":
    main()
