"""The calls of the README's section on the HTTP interface, as they stand there, on an installation that is up."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.inbox import upload_file
from engage_pipeline.settings import PROJECT_ROOT, Settings
from engage_pipeline.stack.example import apply_example_flows
from engage_pipeline.stack.installation import Installation, running

SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def installation() -> Iterator[Installation]:
    """What `make dev` starts, but for the Dagster UI, with leads that are engaged."""
    # Not below pytest's own folder, which a later run makes private: as root the server runs as another user.
    home = Path(tempfile.mkdtemp(prefix="engage-readme-"))
    home.chmod(0o755)
    port = free_port()
    settings = Settings(
        home=home / "data",
        webhook_port=port,
        public_url=f"http://127.0.0.1:{port}",
        sandbox_url=f"http://127.0.0.1:{free_port()}",
        warehouse_interval_seconds=5,
    )
    with running(settings, with_ui=False, with_api=True) as up:
        leads = home / "leads.csv"
        write_generated_leads(leads, rows=30, seed=1)
        with connect(up.url) as connection:
            apply_example_flows(connection)
            upload_file(connection, up.settings, find_tenant(connection, "demo"), leads, options={}, now=utc_now())
            deadline = time.monotonic() + SECONDS
            while connection.execute("select count(*) from flow_executions").fetchone() == (0,):
                assert time.monotonic() < deadline, "no execution began"
                up.processes.check()
                time.sleep(0.5)
        yield up
    shutil.rmtree(home, ignore_errors=True)


def readme_script(api: str) -> list[tuple[str, str]]:
    """(what it is for, the command) of the section, its preamble first."""
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## The HTTP interface", 1)[1].split("\n## ", 1)[0]
    [preamble] = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    rows = re.findall(r"^\| ([^|]+) \| `(.+)` \|$", section, flags=re.MULTILINE)
    preamble = preamble.replace("http://127.0.0.1:8901/api", api).replace(".venv/bin/python", sys.executable)
    preamble = preamble.replace(" .venv/bin/engage", f" {sys.executable} -m engage_pipeline.cli")
    preamble = preamble.replace("(.venv/bin/engage", f"({sys.executable} -m engage_pipeline.cli")
    return [("preamble", preamble), *((purpose, command.replace("\\|", "|")) for purpose, command in rows)]


def test_every_call_of_the_readme_works_after_make_dev(installation: Installation):
    settings = installation.settings
    steps = readme_script(f"http://127.0.0.1:{settings.webhook_port}/api")
    assert len(steps) == 17
    script = "\n".join(f"echo '== {purpose}'\n{command}" for purpose, command in steps)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=PROJECT_ROOT,
        env={**os.environ, "ENGAGE_HOME": str(settings.home), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    assert len(said) == 17
    for purpose, answer in said.items():
        # An execution may have ended by itself before it is cancelled, and the daemon may not have reported yet.
        if "execution-ended" not in answer and purpose != "is all well?":
            assert "urn:engage:problem" not in answer, (purpose, answer)
    assert '"From the API"' in said["read a flow"]
    assert '"description":"By curl"' in said["change a flow"]
    assert '"checks"' in said["is all well?"]
    assert '"action_logs"' in said["read an execution"]
