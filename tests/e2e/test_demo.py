"""`engage demo` as a newcomer runs it: real server, real daemon, real sensors; repeated, killed, refused."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pandas as pd
import psutil
import psycopg
import pytest

from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.read import query
from engage_pipeline.channels.sandbox.record import read_record
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import connect
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.settings import PROJECT_ROOT
from tests.integration.analytics.marts_by_pandas import assert_same_rows, marts_by_pandas, read_raw

DEMO_SECONDS = 300

# Short, so that a killed worker's batch is given to the next attempt within seconds and not within a minute.
QUICK_RECOVERY = {"ENGAGE_LEASE_SECONDS": "6", "ENGAGE_SEND_SECONDS": "3", "ENGAGE_REQUEST_TIMEOUT_SECONDS": "3"}


@dataclass
class Demo:
    """`engage demo` on one data directory, and what can be seen of it from outside."""

    home: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, file: Path, *, environment: Mapping[str, str] = {}) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "engage_pipeline.cli", "demo", "--file", str(file)],
            cwd=PROJECT_ROOT,
            env={**os.environ, "ENGAGE_HOME": str(self.home), "COLUMNS": "100", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def run(self, file: Path) -> tuple[int, str]:
        process = self.start(file)
        output, _ = process.communicate(timeout=DEMO_SECONDS)
        return process.returncode, output

    def run_and_watch(self, file: Path, *, environment: Mapping[str, str]) -> tuple[int, str, set[str]]:
        """The same, and every address outside this machine's loopback that any of its processes was connected to."""
        process = self.start(file, environment=environment)
        foreign: set[str] = set()
        while process.poll() is None:
            for each in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    foreign |= {link.raddr.ip for link in each.net_connections("inet") if link.raddr}
            time.sleep(0.5)
        output = process.stdout.read() if process.stdout else ""
        return process.returncode, output, {ip for ip in foreign if not is_loopback(ip)}

    def count(self, statement: str) -> int:
        """A number from the ledger, while the demo runs or after it."""
        with psycopg.connect(embedded.start(self.home)) as connection:
            row = connection.execute(statement).fetchone()
            assert row is not None
            return int(row[0])

    def effects(self) -> list[str | None]:
        return [reference for reference, _ in read_record(self.home / "sandbox" / "requests.jsonl").effects]

    def wait_until(self, happened: Callable[[], bool], *, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "it did not happen in time"
            assert self.running[-1].poll() is None, self.running[-1].communicate()[0]
            time.sleep(0.05)

    def has_database(self) -> bool:
        return embedded.is_running(self.home) and self.count("select count(*) from pg_tables") > 0 and self._migrated()

    def _migrated(self) -> bool:
        return self.count("select count(*) from pg_tables where tablename = 'flow_action_logs'") == 1

    def processes(self) -> list[psutil.Process]:
        """Everything alive that belongs to this data directory, by its environment or its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                belongs = process.environ().get("ENGAGE_HOME") == str(self.home)
                belongs = belongs or str(self.home) in " ".join(process.cmdline())
                if belongs and process.pid != os.getpid() and process.status() != "zombie":
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def run_workers(self) -> list[psutil.Process]:
        """The processes in which Dagster runs jobs: forked, so with the command line of the server that forks them."""
        workers = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = process.parent()
                if parent is not None and is_fork_server(process) and is_fork_server(parent):
                    workers.append(process)
        return workers

    def end(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=90)
        embedded.stop(self.home)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A data directory of its own; as root the database's user must be able to reach it."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    installation = Demo(tmp_path / "engage")
    yield installation
    installation.end()


def is_loopback(ip: str) -> bool:
    address = ip_address(ip)
    # gRPC listens on IPv6 too and shows 127.0.0.1 as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_fork_server(process: psutil.Process) -> bool:
    return "multiprocessing.forkserver" in " ".join(process.cmdline())


def leads(tmp_path: Path, *, rows: int, seed: int = 5) -> Path:
    path = tmp_path / f"leads-{rows}-{seed}.csv"
    write_generated_leads(path, rows=rows, seed=seed)
    return path


def assert_every_mart_agrees_with_pandas(demo: Demo) -> None:
    """Every mart has rows, and every number in it is the one that the operational tables give."""
    with connect(embedded.start(demo.home)) as connection:
        expected = marts_by_pandas(read_raw(connection))
    for mart in (model for model in load_models(MODELS_FOLDER) if model.layer == "marts"):
        found = pd.DataFrame(
            query(demo.home / "warehouse" / "engage.duckdb", f"from {mart.name}").as_dicts(), dtype=object
        )
        assert len(found) > 0, mart.name
        assert_same_rows(found, expected[mart.name], mart.key, mart=mart.name)


def test_the_demo_ends_by_itself_with_balanced_books_and_a_second_one_calls_nobody(demo, tmp_path):
    file = leads(tmp_path, rows=400)

    code, output = demo.run(file)

    assert code == 0, output
    assert "DOES NOT BALANCE" not in output
    for title in ("rows read", "contacts", "executions", "effects in the sandbox", "Rates by flow and channel"):
        assert title in output
    rates = query(demo.home / "warehouse" / "engage.duckdb", "select sum(accepted_count) from flow_success_rates").rows
    first_effects = demo.effects()
    assert rates[0][0] == len(first_effects) > 300
    assert demo.processes() == []
    assert_every_mart_agrees_with_pandas(demo)
    assert demo.count("select count(*) from dagster.asset_check_executions") > 100
    assert demo.count("select count(*) from dagster.asset_check_executions where execution_status <> 'SUCCEEDED'") == 0

    code, output = demo.run(file)

    assert code == 0, output
    assert "loaded before" in output
    assert demo.effects() == first_effects


def test_credentials_and_proxies_in_the_environment_are_neither_read_nor_used(demo, tmp_path):
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        planted = {
            "RESEND_API_KEY": "re_planted_5f1c0d",
            "BOLNA_API_KEY": "sa-planted-5f1c0d",
            "WHATSAPP_TOKEN": "EAAG-planted-5f1c0d",
            "SENDGRID_API_KEY": "SG.planted-5f1c0d",
            "HTTP_PROXY": address,
            "http_proxy": address,
            "ALL_PROXY": address,
        }

        code, output, foreign = demo.run_and_watch(leads(tmp_path, rows=120), environment=planted)

        assert code == 0, output
        assert foreign == set()
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert len(demo.effects()) > 80
    for path in demo.home.rglob("*"):
        if path.is_file():
            assert b"planted" not in path.read_bytes(), path


def test_a_file_without_anything_to_identify_a_contact_is_refused_and_leaves_one_upload_row(demo, shared_folder):
    code, output = demo.run(shared_folder / "data" / "leads" / "malformed_cr_only_line_ends.csv")

    assert code == 1
    assert "no_identifying_column" in output
    assert "fix:" in output
    for table in ("contacts", "rejected_rows", "micro_batches", "flow_assignments"):
        assert demo.count(f"select count(*) from {table}") == 0
    assert demo.count("select count(*) from lead_uploads where status = 'refused'") == 1


def test_killing_the_run_workers_in_mid_send_loses_nothing_and_calls_nobody_twice(demo, tmp_path):
    process = demo.start(leads(tmp_path, rows=1500), environment=QUICK_RECOVERY)
    demo.wait_until(demo.has_database)
    killed = 0
    for _ in range(2):
        sent = demo.count("select count(*) from flow_action_logs where status = 'success'")
        demo.wait_until(
            lambda sent=sent: (
                demo.count("select count(*) from flow_action_logs where status = 'sending'") > 0
                and demo.count("select count(*) from flow_action_logs where status = 'success'") > sent
            )
        )
        for worker in demo.run_workers():
            worker.kill()
            killed += 1

    output, _ = process.communicate(timeout=DEMO_SECONDS)

    assert killed >= 2
    assert process.returncode == 0, output
    effects = demo.effects()
    assert len(effects) == len(set(effects))
    assert demo.count("select count(*) from micro_batches where lapse_count > 0") >= 1
    assert demo.count("select count(*) from micro_batches where status <> 'done'") == 0
    counts = {
        "effects": len(effects),
        "logs with a provider message id": demo.count(
            "select count(*) from flow_action_logs where provider_message_id is not null"
        ),
        "unknown": demo.count("select count(*) from flow_action_logs where status = 'unknown'"),
        "looked up or replayed": read_record(demo.home / "sandbox" / "requests.jsonl").replayed_count,
    }
    print(f"\nafter {killed} kills: {json.dumps(counts)}")  # noqa: T201 - the counts are the point of the test


def test_ctrl_c_stops_every_process_and_the_next_demo_goes_on(demo, tmp_path):
    file = leads(tmp_path, rows=600)
    process = demo.start(file)
    demo.wait_until(demo.has_database)
    demo.wait_until(lambda: demo.count("select count(*) from flow_action_logs where status = 'success'") > 0)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)

    assert process.returncode == 130
    assert demo.processes() == []

    code, output = demo.run(file)

    assert code == 0, output
    effects = demo.effects()
    assert len(effects) == len(set(effects)) > 400


def test_two_installations_cannot_share_a_data_directory(demo, tmp_path):
    file = leads(tmp_path, rows=50)
    demo.start(file)
    demo.wait_until(demo.has_database)
    second = subprocess.run(
        [sys.executable, "-m", "engage_pipeline.cli", "demo", "--file", str(file)],
        cwd=PROJECT_ROOT,
        env={**os.environ, "ENGAGE_HOME": str(demo.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already-running" in second.stderr
