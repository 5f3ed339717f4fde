"""What else could give contacts their flows. Every peer answers alike: the priority that won a contact, -1 for none.

A peer prepares its flows, which is not timed, and then runs over contacts. Peers that read rows get them in memory, the
custom fields as one JSON text, which they parse; the reading of the file is not timed for them.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import orjson
import polars as pl
import zen

from benchmarks.matching.generated import NUMBERS, PlainFlow, Test, by_tenant

JAVASCRIPT = Path(__file__).parent / "javascript"

Row = tuple[str, str, str, str]
"""user_id, lead_source, tags and custom_fields, the latter two as JSON text."""


class Timed(NamedTuple):
    """Priorities by contact, and the seconds that finding them took."""

    priorities: list[int]
    seconds: float


Peer = Callable[[Path, int], Timed]


def rows_of(path: Path, count: int) -> list[Row]:
    """The first contacts of a Parquet file."""
    with duckdb.connect(config={"threads": 2}) as staging:
        relation = staging.read_parquet(str(path)).limit(count)
        rows: list[Row] = relation.project("user_id, lead_source, tags, custom_fields").fetchall()
        return rows


def row_loop(flows: list[PlainFlow], clock: Callable[[], float]) -> Peer:
    """Python, contact by contact and flow by flow, stopping at the first that fits; orjson parses the fields."""
    prepared = {user_id: [(flow.priority, flow.tests) for flow in own] for user_id, own in by_tenant(flows).items()}

    def run(path: Path, count: int) -> Timed:
        rows = rows_of(path, count)
        begun = clock()
        won = []
        for user_id, lead_source, tags, custom_fields in rows:
            contact = orjson.loads(custom_fields)
            contact["lead_source"] = lead_source
            contact["tag"] = orjson.loads(tags)[0]
            for priority, tests in prepared.get(user_id, ()):
                if all(_holds(test, contact) for test in tests):
                    won.append(priority)
                    break
            else:
                won.append(-1)
        return Timed(won, clock() - begun)

    return run


def _holds(test: Test, contact: dict[str, Any]) -> bool:
    seen, wanted = contact[test.field], test.value
    match test.operator:
        case "equals":
            return bool(seen == wanted)
        case "not_equals":
            return bool(seen != wanted)
        case "gt":
            return bool(seen > wanted)
        case "gte":
            return bool(seen >= wanted)
        case "lt":
            return bool(seen < wanted)
        case _:
            return bool(wanted[0] <= seen <= wanted[1])


def case_ladder(flows: list[PlainFlow], clock: Callable[[], float]) -> Peer:
    """DuckDB, one CASE a tenant with a branch a flow, over fields that were taken out of the JSON once."""
    branches: dict[str, list[str]] = {
        user_id: [f"when {' and '.join(map(_as_sql, flow.tests))} then {flow.priority}" for flow in own]
        for user_id, own in by_tenant(flows).items()
    }
    names = ("Budget", "Score", "Seats", "Plan", "Industry")
    taken = ", ".join(
        f"(fields[{at}])::double as {name}" if name in NUMBERS else f"fields[{at}] as {name}"
        for at, name in enumerate(names, start=1)
    )
    paths = json.dumps([f"$.{name}" for name in names]).replace('"', "'")
    ladder = " ".join(
        f"when user_id = '{user_id}' then case {' '.join(own)} else -1 end" for user_id, own in branches.items()
    )

    def run(path: Path, count: int) -> Timed:
        with duckdb.connect(config={"threads": 2}) as staging:
            staging.read_parquet(str(path)).limit(count).create_view("contacts")
            begun = clock()
            statement = (
                f"with texts as (select user_id, lead_source, tags ->> 0 as tag,"
                f" json_extract_string(custom_fields, {paths}) as fields from contacts),"
                f" taken as materialized (select user_id, lead_source, tag, {taken} from texts)"
                f" select (case {ladder} else -1 end)::integer as won from taken"
            )
            won = staging.execute(statement).fetchnumpy()["won"]
            return Timed(won.tolist(), clock() - begun)

    return run


_SQL = {"equals": "=", "not_equals": "<>", "gt": ">", "gte": ">=", "lt": "<"}


def _as_sql(test: Test) -> str:
    if test.operator == "between":
        return f"{test.field} between {test.value[0]} and {test.value[1]}"
    written = f"'{test.value}'" if isinstance(test.value, str) else str(test.value)
    return f"{test.field} {_SQL[test.operator]} {written}"


def polars_masks(flows: list[PlainFlow], clock: Callable[[], float]) -> Peer:
    """Polars, tenant by tenant: a mask a flow over the rows that still wait."""
    prepared = by_tenant(flows)
    dtype = pl.Struct(
        {
            name: pl.Float64 if name in NUMBERS else pl.String
            for name in ("Budget", "Score", "Seats", "Plan", "Industry")
        }
    )

    def run(path: Path, count: int) -> Timed:
        frame = pl.read_parquet(path, columns=["user_id", "lead_source", "tags", "custom_fields"], n_rows=count)
        begun = clock()
        typed = (
            frame.with_row_index("row")
            .with_columns(
                pl.col("custom_fields").str.json_decode(dtype),
                pl.col("tags").str.json_decode(pl.List(pl.String)).list.first().alias("tag"),
            )
            .unnest("custom_fields")
        )
        won = np.full(count, -1)
        for (user_id,), waiting in typed.partition_by("user_id", as_dict=True).items():
            for flow in prepared.get(str(user_id), ()):
                if waiting.is_empty():
                    break
                mask = waiting.select(pl.all_horizontal([_as_polars(test) for test in flow.tests])).to_series()
                won[waiting.filter(mask)["row"].to_numpy()] = flow.priority
                waiting = waiting.filter(~mask)
        return Timed(won.tolist(), clock() - begun)

    return run


def _as_polars(test: Test) -> pl.Expr:
    column = pl.col(test.field)
    match test.operator:
        case "equals":
            return column == test.value
        case "not_equals":
            return column != test.value
        case "gt":
            return column > test.value
        case "gte":
            return column >= test.value
        case "lt":
            return column < test.value
        case _:
            return column.is_between(*test.value)


def zen_engine(flows: list[PlainFlow], clock: Callable[[], float]) -> Peer:
    """GoRules zen-engine: a decision table a tenant, hit policy `first`."""
    engine = zen.ZenEngine()
    decisions = {user_id: engine.create_decision(_decision_table(own)) for user_id, own in by_tenant(flows).items()}

    def run(path: Path, count: int) -> Timed:
        rows = rows_of(path, count)
        begun = clock()
        won = []
        for user_id, lead_source, tags, custom_fields in rows:
            contact = orjson.loads(custom_fields)
            contact["lead_source"] = lead_source
            contact["tag"] = orjson.loads(tags)[0]
            won.append(decisions[user_id].evaluate(contact)["result"].get("won", -1) if user_id in decisions else -1)
        return Timed(won, clock() - begun)

    return run


def _decision_table(flows: list[PlainFlow]) -> str:
    fields = sorted({test.field for flow in flows for test in flow.tests})
    rules = []
    for flow in flows:
        cells = dict.fromkeys(fields, "")
        cells.update({test.field: _as_cell(test) for test in flow.tests})
        rules.append({"_id": str(flow.priority), **cells, "won": str(flow.priority)})
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": field, "name": field, "field": field} for field in fields],
        "outputs": [{"id": "won", "name": "won", "field": "won"}],
        "rules": rules,
    }
    at = {"position": {"x": 0, "y": 0}}
    return json.dumps(
        {
            "nodes": [
                {"id": "in", "name": "in", "type": "inputNode", **at},
                {"id": "table", "name": "table", "type": "decisionTableNode", "content": table, **at},
                {"id": "out", "name": "out", "type": "outputNode", **at},
            ],
            "edges": [
                {"id": "1", "sourceId": "in", "targetId": "table", "type": "edge"},
                {"id": "2", "sourceId": "table", "targetId": "out", "type": "edge"},
            ],
        }
    )


_CELL = {"equals": "{}", "not_equals": "$ != {}", "gt": "> {}", "gte": ">= {}", "lt": "< {}"}


def _as_cell(test: Test) -> str:
    if test.operator == "between":
        return f"[{test.value[0]}..{test.value[1]}]"
    return _CELL[test.operator].format(json.dumps(test.value))


def on_node(script: str, flows: list[PlainFlow], folder: Path) -> Peer:
    """A peer in JavaScript: it reads flows and contacts from files, and times itself without the reading."""
    flows_path = folder / "flows.json"
    written = {user_id: [flow._asdict() for flow in own] for user_id, own in by_tenant(flows).items()}
    flows_path.write_text(json.dumps(written))

    def run(path: Path, count: int) -> Timed:
        contacts_path = folder / f"{path.stem}-{count}.json"
        if not contacts_path.exists():
            contacts_path.write_bytes(orjson.dumps(rows_of(path, count)))
        done = subprocess.run(
            ["node", "--max-old-space-size=8192", str(JAVASCRIPT / script), str(flows_path), str(contacts_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        answer = json.loads(done.stdout)
        return Timed(answer["priorities"], answer["seconds"])

    return run
