"""Runs the table: the matcher, its peers and the floor on the same contacts and flows; writes it as JSON and as a plot.

The floor only scans the Parquet file and takes the fields out of the JSON. Peers that are slow get fewer contacts, as
many as they can do in about a second; `contacts` says how many. Each must give the answers of the matcher. A figure
is the median of the repeats.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import which
from typing import Any

import duckdb
import numpy as np

from benchmarks.matching import peers
from benchmarks.matching.generated import FIELDS, PlainFlow, as_stored, make_flows, write_contacts
from benchmarks.matching.plot import write_plot
from benchmarks.memory import peak_bytes
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import assign
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

NOW = microseconds(datetime(2026, 5, 10, tzinfo=UTC))
RESULTS = Path(__file__).parents[1] / "results"
SAMPLE_SECONDS = 1.0
PROBE = 500  # contacts by which a peer's speed is found
MOST_FLOWS_OF_AN_ENGINE = 1_000  # a rule engine needs minutes for more, a contact included
MICRO_BATCH = 1_000


def main() -> None:
    """Run the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--most-contacts", type=int, default=10_000_000, help="of the run that shows the memory")
    parser.add_argument("--flows", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--tenants", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "match.json")
    parser.add_argument("--only-match", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_match:
        only_match(options.only_match)
        return
    if which("node"):
        install_javascript()
    else:
        print("Node is not here: the two peers in JavaScript are left out")
    with tempfile.TemporaryDirectory() as folder:
        rows = list(table(Path(folder), options))
        content = {
            "machine": machine(),
            "repeats": options.repeats,
            "rows": rows,
            "micro_batch": micro_batch(Path(folder), options),
            "memory": memory(Path(folder), options),
        }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_plot(rows, options.out.with_suffix(".svg"))
    for name in ("micro_batch", "memory"):
        print(json.dumps({name: content[name]}))


def table(folder: Path, options: argparse.Namespace) -> Any:
    """One row a peer, set and number of flows and of tenants; printed as it comes."""
    for tenants in options.tenants:
        path = folder / f"contacts_{tenants}.parquet"
        write_contacts(path, contacts=options.contacts, tenants=tenants)
        lowest = measure(lambda: floor(path), options.repeats)  # noqa: B023
        yield shown({"peer": "floor", "tenants": tenants}, options.contacts, lowest, lowest / options.contacts)
        for kind in ("easy", "selective"):
            for count in options.flows:
                if count >= tenants:
                    own = {"kind": kind, "tenants": tenants, "flows": count}
                    yield from compare(path, make_flows(kind, count, tenants), options, own, folder)


def compare(path: Path, flows: list[PlainFlow], options: argparse.Namespace, own: dict[str, Any], folder: Path) -> Any:
    """The matcher and its peers on one set of flows."""
    program = Program(as_stored(flows))
    expected = np.concatenate(list(engage(path, program)))
    seconds = measure(lambda: sum(map(len, engage(path, program))), options.repeats)
    each = seconds / options.contacts
    yield shown({"peer": "engage", **own}, options.contacts, seconds, each)
    with tempfile.TemporaryDirectory(dir=folder) as peer_folder:
        for name, peer in peers_for(flows, Path(peer_folder)):
            # Twice: the first probe finds the order of magnitude, fixed costs included.
            count = PROBE
            for _ in range(2):
                found = peer(path, count).seconds
                count = int(min(options.contacts, max(PROBE, count * SAMPLE_SECONDS / found)))
            answers = [peer(path, count) for _ in range(options.repeats)]
            if answers[0].priorities != expected[:count].tolist():
                raise SystemExit(f"{name} does not give the matcher's answers on {own}")
            seconds = statistics.median(answer.seconds for answer in answers)
            yield shown({"peer": name, **own}, count, seconds, each)


def peers_for(flows: list[PlainFlow], folder: Path) -> Any:
    """The peers that can be asked about so many flows."""
    clock = time.perf_counter
    yield "python row loop", peers.row_loop(flows, clock)
    yield "duckdb case", peers.case_ladder(flows, clock)
    yield "polars masks", peers.polars_masks(flows, clock)
    if which("node"):
        yield "javascript row loop", peers.on_node("row_loop.js", flows, folder)
    if len(flows) <= MOST_FLOWS_OF_AN_ENGINE:
        yield "zen-engine", peers.zen_engine(flows, clock)
        if which("node"):
            yield "json-rules-engine", peers.on_node("rules_engine.js", flows, folder)


def shown(which_one: dict[str, Any], contacts: int, seconds: float, engage_each: float) -> dict[str, Any]:
    """The row, printed. `engage_is_faster` is how many times as long this peer takes for a contact."""
    row = {
        **which_one,
        "contacts": contacts,
        "seconds": round(seconds, 4),
        "contacts_per_second": round(contacts / seconds),
        "engage_is_faster": round(seconds / contacts / engage_each, 2),
    }
    print(json.dumps(row), flush=True)
    return row


def measure(run: Callable[[], object], repeats: int) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def engage(path: Path, program: Program, count: int | None = None) -> Any:
    """The priorities that won, -1 for none, batch by batch."""
    priorities = np.array([*(flow.definition.priority for flow in program.flows), -1])
    with duckdb.connect(config={"threads": 2}) as staging:
        relation = staging.read_parquet(str(path))
        (relation.limit(count) if count else relation).create_view("contacts")
        for batch in staged_batches(staging, program.custom_field_names):
            columns = ContactColumns(batch, program.custom_field_names, NOW)
            yield priorities[assign(program, columns).flows]


def floor(path: Path) -> None:
    """Scan and take the fields out of the JSON, nothing more."""
    with duckdb.connect(config={"threads": 2}) as staging:
        staging.read_parquet(str(path)).create_view("contacts")
        for _ in staged_batches(staging, list(FIELDS)):
            pass


def micro_batch(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds for 1,000 contacts with a warm program, DuckDB opened each time."""
    path = folder / "micro_batch.parquet"
    write_contacts(path, contacts=MICRO_BATCH, tenants=50)
    program = Program(as_stored(make_flows("easy", 1_000, 50)))
    seconds = []
    for _ in range(50):
        begun = time.perf_counter()
        for _ in engage(path, program):
            pass
        seconds.append(time.perf_counter() - begun)
    return {
        "contacts": MICRO_BATCH,
        "flows": 1_000,
        "median_milliseconds": round(1000 * statistics.median(seconds), 1),
        "p95_milliseconds": round(1000 * statistics.quantiles(seconds, n=20)[-1], 1),
    }


def memory(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of a process of its own that matches so many contacts against 1,000 flows of one tenant."""
    found = []
    for count in (options.contacts, options.most_contacts):
        path = folder / f"memory_{count}.parquet"
        write_contacts(path, contacts=count, tenants=1)
        alone = subprocess.run(
            [sys.executable, "-m", "benchmarks.matching", "--only-match", str(path)],
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds, peak = json.loads(alone.stdout)
        found.append(
            {
                "contacts": count,
                "seconds": round(seconds, 2),
                "contacts_per_second": round(count / seconds),
                "peak_mebibytes": round(peak / 2**20),
            }
        )
        path.unlink()
    return found


def only_match(path: Path) -> None:
    """Print the seconds and the peak bytes of this process."""
    program = Program(as_stored(make_flows("easy", 1_000, 1)))
    begun = time.perf_counter()
    for _ in engage(path, program):
        pass
    seconds = time.perf_counter() - begun
    print(json.dumps([seconds, peak_bytes()]))


def install_javascript() -> None:
    """What package.json names, into a folder that git does not see; no lock file, as it records addresses."""
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=peers.JAVASCRIPT,
        check=True,
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    packages = {name: version(name) for name in ("duckdb", "numpy", "polars", "zen-engine", "orjson")}
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True) if which("node") else None
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        **packages,
        **({"node": node.stdout.strip().lstrip("v")} if node else {}),
    }


if __name__ == "__main__":
    main()
