"""`make bench-analytics`: action logs straight into PostgreSQL, a full build, a refresh, the same questions to both.

An embedded PostgreSQL of its own, with its default settings and analysed tables. Each build runs in a process that does
nothing else, for its peak memory. The same aggregate SQL runs on the same rows in both engines, three times each after
one to warm up; the median counts. Five questions ask the operational tables, which the warehouse holds as `raw.*`, and
five ask `fct_actions`, which analysts use, and of which PostgreSQL gets a copy with the same columns, types and rows.
"""

import argparse
import atexit
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.warehouse import build_warehouse
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.migrate import migrate

RESULTS = Path(__file__).parent / "results" / "analytics.json"
TENANTS, FLOWS, LOGS_PER_EXECUTION, DAYS = 20, 10, 3, 90

GENERATE = """
insert into users (name, time_zone)
select 'tenant ' || n, (array['UTC', 'America/New_York', 'Asia/Kolkata'])[1 + n % 3]
from generate_series(1, {tenants}) as n;

insert into auto_engagement_flows (user_id, name, priority)
select id, 'flow ' || n, n from users cross join generate_series(1, {flows}) as n;

insert into flow_versions (flow_id, version, definition) select id, 1, '{{}}' from auto_engagement_flows;

insert into micro_batches (kind, item_count, status) values ('new_contacts', 1, 'done');

create temp table flow_numbers as
select id as flow_id, user_id, row_number() over () - 1 as n from auto_engagement_flows;

create temp table walks as
select uuidv7() as contact_id, uuidv7() as execution_id, g.n, f.flow_id, f.user_id,
    now() - interval '{days} days' + g.n * (interval '{days} days' / {executions}) as began_at
from generate_series(0, {executions} - 1) as g (n) inner join flow_numbers as f on f.n = g.n % ({tenants} * {flows});

insert into contacts (id, user_id, lead_source, entry_type, created_at, updated_at, micro_batch_id)
select contact_id, user_id, (array['web', 'fair', 'referral', null])[1 + n % 4], 'bulk_upload', began_at, began_at,
    (select id from micro_batches limit 1)
from walks;

insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason, assigned_at)
select contact_id, (select id from micro_batches limit 1), user_id, flow_id, 1, 'matched', began_at from walks;

insert into flow_executions (id, flow_id, flow_version, user_id, contact_id, micro_batch_id, status, triggered_at,
    completed_at)
select execution_id, flow_id, 1, user_id, contact_id, (select id from micro_batches limit 1), 'completed', began_at,
    began_at + interval '1 hour'
from walks;

insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, outcome, executed_at,
    accepted_at, outcome_at, completed_at, created_at, attempt_count, cost_cents)
select execution_id, user_id, o, (array['ai_call', 'whatsapp_message', 'email'])[o],
    case when (n + o) % 5 < 3 then 'success' else 'failed' end,
    case
        when (n + o) % 5 = 4 then 'expired'
        when (n + o) % 5 = 3 then (array['voicemail', 'failed', 'bounced'])[o]
        else (array['answered', 'delivered', 'opened'])[o]
    end,
    began_at + o * interval '10 minutes', began_at + o * interval '10 minutes', began_at + o * interval '11 minutes',
    began_at + o * interval '11 minutes', began_at, 1, case when o = 1 then 4.5 end
from walks cross join generate_series(1, {logs_per_execution}) as o;

analyze;
"""

TABLES = {"logs": "flow_action_logs", "executions": "flow_executions", "contacts": "contacts"}
OF_OPERATIONAL_TABLES = {
    "success by flow and channel": """
        select e.user_id, e.flow_id, l.action_type, count(*) as n, count(*) filter (where l.status = 'success') as s
        from {logs} l inner join {executions} e on e.id = l.execution_id where not e.is_test_run group by 1, 2, 3""",
    "success by lead source": """
        select c.lead_source, count(*) as n, count(*) filter (where l.status = 'success') as s
        from {logs} l inner join {executions} e on e.id = l.execution_id inner join {contacts} c on c.id = e.contact_id
        group by 1""",
    "sends by day": """
        select date_trunc('day', executed_at) as day, action_type, count(*) as n from {logs} group by 1, 2""",
    "sends by weekday and hour": """
        select extract(isodow from executed_at) as d, extract(hour from executed_at) as h, count(*) as n
        from {logs} group by 1, 2""",
    "outcomes by channel": """
        select action_type, outcome, count(*) as n, avg(cost_cents) as c from {logs} group by 1, 2""",
}
COUNTS = """count(*) filter (where is_accepted) as accepted, count(*) filter (where is_outcome_known) as known,
    count(*) filter (where is_succeeded) as succeeded"""
OF_ACTIONS = {
    "success by flow and channel": f"select user_id, flow_id, channel, {COUNTS} from fct_actions group by 1, 2, 3",
    "success by lead source": f"select lead_source, {COUNTS} from fct_actions group by 1",
    "sends by day": "select send_date, channel, count(*) as n from fct_actions group by 1, 2",
    "sends by weekday and hour": f"select send_weekday, send_hour, {COUNTS} from fct_actions group by 1, 2",
    "outcomes by channel": """
        select channel, outcome, count(*) as n, avg(cost_cents) as c from fct_actions group by 1, 2""",
}
TYPES = {"TIMESTAMP WITH TIME ZONE": "timestamptz", "TINYINT": "smallint", "DOUBLE": "double precision"}
"""DuckDB's names of types that PostgreSQL calls otherwise."""


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="engage-bench-"))
    # First, so that it runs after the server's package, which leaves a lock file there at its own exit.
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    # As root the server runs as another user.
    home.chmod(0o755)
    url, path = embedded.start(home / "server"), home / "warehouse" / "engage.duckdb"
    try:
        migrate(url)
        with connect(url) as connection:
            generated = _generate(connection, arguments.rows)
            full = _in_a_process(url, path)
            changed = {
                name: _change(connection, arguments.changes, order) | {"build": _in_a_process(url, path)}
                for name, order in {"newest": "executed_at desc", "anywhere": "id::text desc"}.items()
            }
            _copy_actions(connection, path, home / "actions.csv")
            questions = _ask(connection, path)
    finally:
        embedded.stop(home / "server")
    results = {
        "action_logs": arguments.rows,
        "changes": arguments.changes,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "generate_seconds": generated,
        "full_build": full,
        "refresh": changed,
        "file_mib": full["file_mib"],
        "questions": questions,
        "median_times_as_fast": _medians(questions),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def _generate(connection: Connection, rows: int) -> float:
    begun = time.perf_counter()
    # What the triggers would set is the column's default; without them ten million rows take minutes less.
    connection.execute("set session_replication_role = replica")
    script = GENERATE.format(
        tenants=TENANTS,
        flows=FLOWS,
        days=DAYS,
        executions=rows // LOGS_PER_EXECUTION,
        logs_per_execution=LOGS_PER_EXECUTION,
    )
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)  # type: ignore[call-overload]
    connection.execute("set session_replication_role = origin")
    connection.execute("vacuum analyze")
    return round(time.perf_counter() - begun, 1)


def _change(connection: Connection, count: int, order: str) -> dict[str, Any]:
    """An outcome of another kind for so many logs."""
    connection.execute(
        "update flow_action_logs set outcome = 'opted_out' where id in"
        f" (select id from flow_action_logs where outcome <> 'opted_out' order by {order} limit {count})"
    )
    return {"changed_rows": count}


def _in_a_process(url: str, path: Path) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_build, (url, path))


def _build(url: str, path: Path) -> dict[str, Any]:
    begun = time.perf_counter()
    build = build_warehouse(url, path, models_folder=MODELS_FOLDER, now=datetime.now(UTC))
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        # Linux counts in KiB.
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "is_full": build.is_full,
        "rows_read": build.changed_count,
        "file_mib": round(path.stat().st_size / 2**20),
    }


def _copy_actions(connection: Connection, path: Path, file: Path) -> None:
    """The rows of `fct_actions` into a table of PostgreSQL, vacuumed and analysed as the others are."""
    with duckdb.connect(path, read_only=True) as warehouse:
        warehouse.execute(f"copy fct_actions to '{file}' (format csv, header false)")
        columns = warehouse.execute("select column_name, column_type from (describe fct_actions)").fetchall()
    defined = ", ".join(f"{name} {TYPES.get(column_type, column_type)}" for name, column_type in columns)
    connection.execute(f"create table fct_actions ({defined})")  # type: ignore[call-overload]
    with connection.cursor().copy("copy fct_actions from stdin (format csv)") as copy, file.open("rb") as lines:
        while chunk := lines.read(2**20):
            copy.write(chunk)
    file.unlink()
    connection.execute("vacuum analyze fct_actions")


def _ask(connection: Connection, path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    in_raw = {key: f"raw.{table}" for key, table in TABLES.items()}
    with duckdb.connect(path, read_only=True) as warehouse:
        warehouse.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        connection.execute("set timezone = 'UTC'")

        def both(in_postgresql: str, in_duckdb: str) -> dict[str, Any]:
            return _compare(
                lambda: connection.execute(in_postgresql).fetchall(),  # type: ignore[call-overload]
                lambda: warehouse.execute(in_duckdb).fetchall(),
            )

        return {
            "operational tables": {
                name: both(question.format(**TABLES), question.format(**in_raw))
                for name, question in OF_OPERATIONAL_TABLES.items()
            },
            "fct_actions": {name: both(question, question) for name, question in OF_ACTIONS.items()},
        }


def _compare(in_postgresql: Any, in_duckdb: Any) -> dict[str, Any]:
    assert _plain(in_postgresql()) == _plain(in_duckdb())
    found = {"postgresql_ms": _median_ms(in_postgresql), "duckdb_ms": _median_ms(in_duckdb)}
    return found | {"times_as_fast": round(found["postgresql_ms"] / found["duckdb_ms"], 1)}


def _plain(rows: Any) -> list[str]:
    """Rows that can be compared between engines: in no order, and a number is a number."""
    return sorted(
        repr([round(float(value), 6) if isinstance(value, int | float | Decimal) else str(value) for value in row])
        for row in rows
    )


def _medians(questions: dict[str, dict[str, dict[str, Any]]]) -> dict[str, float]:
    ratios = {of: [each["times_as_fast"] for each in asked.values()] for of, asked in questions.items()}
    ratios["all"] = [ratio for of_one in ratios.values() for ratio in of_one]
    return {of: round(statistics.median(of_one), 1) for of, of_one in ratios.items()}


def _median_ms(ask: Any) -> float:
    ask()
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
