"""`make bench-simulate`: how long a forecast takes, beside loading the same file, which is a part of it.

Whole processes, `engage simulate FILE` and then `engage simulate --recent 1` of the loaded contacts, with the flows of
the demo, on an embedded PostgreSQL of its own. A figure is the median of the rounds.
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
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engage_pipeline.clock import utc_now
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import connect
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.inbox import upload_file
from engage_pipeline.intake.ingest import ingest
from engage_pipeline.settings import PROJECT_ROOT, Settings
from engage_pipeline.stack.example import TENANT, apply_example_flows

RESULTS = Path(__file__).parent / "results" / "simulate.json"


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="engage-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        file = home / "leads.csv"
        write_generated_leads(file, rows=options.contacts, seed=1)
        settings = Settings(home=home / "engage")
        url = embedded.start(settings.home)
        try:
            migrate(url)
            with connect(url) as connection:
                apply_example_flows(connection)
            of_file = [simulated(settings, [str(file)]) for _ in range(options.rounds)]
            load_seconds = loaded(settings, url, file)
            of_recent = [simulated(settings, ["--recent", "1"]) for _ in range(options.rounds)]
        finally:
            embedded.stop(settings.home)
    seconds = statistics.median(of_file)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]},
        "rows": options.contacts,
        "file_seconds": round(seconds, 1),
        "recent_seconds": round(statistics.median(of_recent), 1),
        "load_seconds": round(load_seconds, 1),
        "times_the_load": round(seconds / load_seconds, 1),
        "all_seconds": {
            "file": [round(each, 1) for each in of_file],
            "recent": [round(each, 1) for each in of_recent],
        },
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def simulated(settings: Settings, arguments: Sequence[str]) -> float:
    """Seconds of the whole process."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "engage_pipeline.cli", "simulate", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "ENGAGE_HOME": str(settings.home)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def loaded(settings: Settings, url: str, file: Path) -> float:
    """Seconds of the load alone, in this process."""
    with connect(url) as connection:
        tenant = ensure_tenant(connection, TENANT)
        upload_id, _ = upload_file(connection, settings, tenant, file, options={"accept_rejects": True}, now=utc_now())
    began = time.perf_counter()
    assert ingest(url, settings, upload_id, 1) is not None
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
