"""Contacts matched per second: the matcher, a row loop in Python, a CASE ladder in DuckDB, and the floor under them.

Everything reads the same generated Parquet file. The floor only scans it and takes the fields out of the JSON. The row
loop and the ladder are timed on a sample where they are slow; `contacts` in the results says how many each one had.
A figure is the median of the repeats.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np

from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import assign
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

NOW = microseconds(datetime(2026, 5, 10, tzinfo=UTC))
FIELDS = ["Active", "Budget", "Country", "Industry", "Plan", "Score", "Seats", "Signup"]
ROW_LOOP_WORK = 500_000  # contacts x flows of a tenant
LADDER_WORK = 10_000_000
ACTION = {"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}

CONTACTS = """
copy (
    select
        n::varchar as contact_id,
        ('00000000-0000-0000-0000-' || lpad((hash(n, 1) % {tenants})::varchar, 12, '0')) as user_id,
        'source ' || (hash(n, 2) % 12) as lead_source,
        'entry ' || (hash(n, 3) % 5) as entry_type,
        '["tag ' || (hash(n, 4) % 20) || '"]' as tags,
        'mail' || (hash(n, 5) % 50) || '.example' as email_domain,
        null::varchar as phone_e164,
        timestamptz '2026-05-01 00:00:00+00' - to_seconds(hash(n, 6) % 10000000) as created_at,
        to_json({{
            'Active': hash(n, 7) % 2 = 0,
            'Budget': hash(n, 8) % 100000,
            'Country': 'country ' || (hash(n, 9) % 20),
            'Industry': 'industry ' || (hash(n, 10) % 30),
            'Plan': 'plan ' || (hash(n, 11) % 5),
            'Score': (hash(n, 12) % 10000) / 100,
            'Seats': hash(n, 13) % 500,
            'Signup': (date '2026-01-01' + (hash(n, 14) % 365)::integer)::varchar
        }})::varchar as custom_fields,
        false as is_dnc,
        true as can_ai_call, true as can_ai_call_address,
        true as can_whatsapp_message, true as can_whatsapp_message_address,
        true as can_email, true as can_email_address
    from range({contacts}) as numbers (n)
) to '{path}' (format parquet)
"""


def main() -> None:
    """Run the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--flows", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--tenants", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "match.json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for tenants in options.tenants:
            path = Path(folder) / f"contacts_{tenants}.parquet"
            with duckdb.connect() as staging:
                staging.execute(CONTACTS.format(tenants=tenants, contacts=options.contacts, path=path))
            rows.append({"peer": "floor", "tenants": tenants, **timed(lambda: floor(path), options)})  # noqa: B023
            for kind in ("easy", "selective"):
                for count in options.flows:
                    if count >= tenants:
                        rows += compare(path, make_flows(kind, count, tenants), options, kind=kind, tenants=tenants)
                        print(json.dumps(rows[-3:]), flush=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "duckdb": duckdb.__version__}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    content = {"machine": machine, "peak_bytes": peak, "repeats": options.repeats, "rows": rows}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def make_flows(kind: str, count: int, tenants: int) -> list[StoredFlow]:
    """`count` flows over the tenants: easy ones are broad, selective ones seldom match."""
    rng = random.Random(count)  # noqa: S311 - figures must repeat
    return [
        StoredFlow(
            UUID(int=10**9 + number),
            UUID(f"00000000-0000-0000-0000-{number % tenants:012d}"),
            1,
            Flow.model_validate(
                {
                    "name": str(number),
                    "priority": number // tenants,
                    "trigger_conditions": [
                        {"condition_type": kind, "condition_operator": operator, "condition_value": value}
                        | ({"custom_field_name": name} if name else {})
                        for kind, name, operator, value in (_easy if kind == "easy" else _selective)(rng)
                    ],
                    "actions": [ACTION],
                }
            ),
        )
        for number in range(count)
    ]


def _easy(rng: random.Random) -> list[tuple[str, str | None, str, Any]]:
    return [
        ("lead_source", None, "equals", f"Source {rng.randrange(12)}"),
        rng.choice(
            [
                ("custom_field", "Budget", "gte", rng.randrange(0, 80_000, 1000)),
                ("custom_field", "Score", "lt", rng.randrange(20, 100)),
                ("custom_field", "Plan", "not_equals", f"plan {rng.randrange(5)}"),
                ("tag", None, "not_equals", f"tag {rng.randrange(20)}"),
            ]
        ),
    ]


def _selective(rng: random.Random) -> list[tuple[str, str | None, str, Any]]:
    low = rng.randrange(0, 95_000, 100)
    return [
        ("lead_source", None, "equals", f"source {rng.randrange(12)}"),
        ("custom_field", "Industry", "equals", f"industry {rng.randrange(30)}"),
        ("custom_field", "Plan", "equals", f"plan {rng.randrange(5)}"),
        ("custom_field", "Budget", "between", [low, low + 5_000]),
        ("custom_field", "Seats", "gt", rng.randrange(500)),
    ]


def compare(path: Path, flows: list[StoredFlow], options: argparse.Namespace, **which: Any) -> list[dict[str, Any]]:
    """The matcher and its peers on one set of flows."""
    program = Program(flows)
    own = {**which, "flows": len(flows)}
    share = max(1, len(flows) // which["tenants"])
    results = [{"peer": "engage", **own, **timed(lambda: engage(path, program, options.contacts), options)}]
    expected = engage(path, program, options.contacts)
    for name, peer, work in (("python row loop", row_loop, ROW_LOOP_WORK), ("duckdb case", ladder, LADDER_WORK)):
        sample = min(options.contacts, work // share)
        assert peer(path, flows, sample) == expected[:sample].tolist(), name
        result = timed(lambda: peer(path, flows, sample), options, contacts=sample)  # noqa: B023
        results.append({"peer": name, **own, **result})
    return results


def timed(run: Callable[[], object], options: argparse.Namespace, contacts: int | None = None) -> dict[str, Any]:
    """Median seconds and contacts a second."""
    seconds = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    done = contacts or options.contacts
    return {"contacts": done, "seconds": round(median, 4), "contacts_per_second": round(done / median)}


def _opened(path: Path, limit: int | None = None) -> duckdb.DuckDBPyConnection:
    staging = duckdb.connect(config={"threads": 2})
    relation = staging.read_parquet(str(path))
    (relation.limit(limit) if limit else relation).create_view("contacts")
    return staging


def engage(path: Path, program: Program, count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The priority that won, -1 for none, of every contact."""
    priorities = np.array([*(flow.definition.priority for flow in program.flows), -1])
    with _opened(path) as staging:
        batches = staged_batches(staging, program.custom_field_names)
        columns = (ContactColumns(batch, program.custom_field_names, NOW) for batch in batches)
        return np.concatenate([priorities[assign(program, each).flows] for each in columns])


def floor(path: Path) -> None:
    """Scan and take the fields out of the JSON, nothing more."""
    with _opened(path) as staging:
        for _ in staged_batches(staging, FIELDS):
            pass


def _single(flow: StoredFlow) -> list[Any]:
    return list(flow.definition.trigger_conditions)


def row_loop(path: Path, flows: list[StoredFlow], count: int) -> list[int]:
    """Flow by flow, contact by contact, stopping at the first that fits."""
    by_tenant: dict[str, list[tuple[int, list[Any]]]] = {}
    for flow in sorted(flows, key=lambda flow: flow.definition.priority):
        by_tenant.setdefault(str(flow.user_id), []).append((flow.definition.priority, _single(flow)))
    won = []
    with _opened(path, count) as staging:
        query = "select user_id, lead_source, tags, custom_fields from contacts"
        for user_id, lead_source, tags, custom_fields in staging.execute(query).fetchall():
            contact = json.loads(custom_fields) | {"lead_source": lead_source, "tag": json.loads(tags)[0]}
            for priority, conditions in by_tenant.get(user_id, ()):
                if all(_holds(condition, contact) for condition in conditions):
                    won.append(priority)
                    break
            else:
                won.append(-1)
    return won


def _holds(condition: Any, contact: dict[str, Any]) -> bool:
    seen = contact[condition.custom_field_name or condition.condition_type]
    wanted = condition.condition_value
    match condition.condition_operator:
        case "equals":
            return bool(seen.lower() == wanted.lower())
        case "not_equals":
            return bool(seen.lower() != wanted.lower())
        case "gt":
            return bool(seen > wanted)
        case "gte":
            return bool(seen >= wanted)
        case "lt":
            return bool(seen < wanted)
        case _:
            return bool(wanted[0] <= seen <= wanted[1])


_SQL = {"equals": "=", "not_equals": "<>", "gt": ">", "gte": ">=", "lt": "<"}


def ladder(path: Path, flows: list[StoredFlow], count: int) -> list[int]:
    """One CASE with a branch a flow, over fields that were taken out once."""
    branches = []
    for flow in sorted(flows, key=lambda flow: flow.definition.priority):
        tests = [f"user_id = '{flow.user_id}'", *map(_as_sql, _single(flow))]
        branches.append(f"when {' and '.join(tests)} then {flow.definition.priority}")
    taken = ", ".join(
        f"(custom_fields ->> '{name}'){'::double' if name in ('Budget', 'Score', 'Seats') else ''} as {name}"
        for name in ("Budget", "Score", "Seats", "Plan", "Industry")
    )
    with _opened(path, count) as staging:
        statement = (
            f"with taken as materialized (select user_id, lower(lead_source) as lead_source, tags ->> 0 as tag, {taken}"  # noqa: S608
            f" from contacts) select case {' '.join(branches)} else -1 end from taken"
        )
        return [row[0] for row in staging.execute(statement).fetchall()]


def _as_sql(condition: Any) -> str:
    name = condition.custom_field_name or condition.condition_type
    value = condition.condition_value
    if condition.condition_operator == "between":
        return f"{name} between {value[0]} and {value[1]}"
    written = f"'{value.lower()}'" if isinstance(value, str) else str(value)
    return f"{name} {_SQL[condition.condition_operator]} {written}"


if __name__ == "__main__":
    main()
