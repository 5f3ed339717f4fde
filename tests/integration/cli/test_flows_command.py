"""`engage flows` as a person and a program meet it: output, errors and exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engage_pipeline.flows.yaml_file import to_yaml
from tests.integration.ledger_world import World, flow_of

PROJECT = Path(__file__).resolve().parents[3]
Engage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def engage(database: str) -> Engage:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from engage_pipeline.cli import main; main()", "flows", *arguments],
            cwd=PROJECT,
            env={**os.environ, "ENGAGE_DATABASE_URL": database, "COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_life_of_a_flow(engage: Engage, tmp_path: Path) -> None:
    applied = engage("apply", "flows", "--yes", "--json")
    assert applied.returncode == 0, applied.stderr
    assert len(json.loads(applied.stdout)["demo"]["created"]) == 5
    listed = engage("list")
    assert "Paid social" in listed.stdout
    assert [flow["priority"] for flow in json.loads(engage("list", "--json").stdout)] == [0, 1, 2, 3, 100]

    shown = engage("show", "Paid social").stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert engage("apply", str(again)).stdout == "demo: unchanged Paid social\n"
    again.write_text(shown.replace("social_welcome", "social_hello"))
    unasked = engage("apply", str(again))
    assert (unasked.returncode, "not-confirmed" in unasked.stderr) == (1, True)
    assert engage("list", "--json").stdout.count('"version": 1,') == 5
    updated = engage("apply", str(again), "--yes").stdout
    assert '      actions[0].action_config.template_id: "social_welcome" -> "social_hello"\n' in updated
    assert updated.endswith("demo: updated Paid social\n")
    assert engage("show", "Paid social", "--version", "1").stdout == shown
    assert json.loads(engage("show", "Paid social", "--json").stdout)["version"] == 2

    assert engage("delete", "Paid social").stdout == "demo: deleted Paid social\n"
    missing = engage("show", "Paid social", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["code"]) == (1, "no-flow")
    assert "fix:" in missing.stderr


@pytest.mark.parametrize("way", ["delete", "prune"])
def test_deleting_a_flow_cancels_what_it_had_begun(engage: Engage, world: World, tmp_path: Path, way: str) -> None:
    world.apply(flow_of("wait", "email"))
    world.contact()
    world.started()
    if way == "delete":
        assert engage("delete", "Welcome").returncode == 0
    else:
        kept = tmp_path / "kept.yaml"
        kept.write_text(to_yaml([flow_of("email", name="Another", priority=1)], tenant_name="acme"))
        (planned,) = json.loads(engage("plan", str(kept), "--prune", "--json").stdout)
        assert planned["impact"]["cancelled_executions"] == {"Welcome": 1}
        applied = engage("apply", str(kept), "--prune", "--yes")
        assert "  - Welcome: deleted; 1 open executions are cancelled\n" in applied.stdout
        assert applied.stdout.endswith("acme: created Another\nacme: deleted Welcome\n")
    assert world.executions() == ["cancelled"]
    assert [(log.status, log.skip_reason) for log in world.logs()] == [("skipped", "flow_deleted")]


def test_a_bad_file_changes_nothing_and_names_the_lines(engage: Engage, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("tenant: acme\nflows:\n  - name: A\n    priority: -1\n    actions: []\n")
    refused = engage("apply", str(bad))
    assert refused.returncode == 1
    assert f"\n{bad}:4: flows[0].priority: " in refused.stderr
    assert f"\n{bad}:5: flows[0].actions: a flow needs at least one action\n" in refused.stderr
    assert refused.stdout == ""
    assert json.loads(engage("list", "--json").stdout) == []


def test_wrong_usage_is_exit_code_two(engage: Engage) -> None:
    assert engage("apply", "/no/such/file").returncode == 2
    assert engage("list", "--tenant", "../etc").returncode == 2
    assert engage("apply", "flows", "--json").returncode == 2
    assert engage("show", "A").returncode == 2
    assert engage("validate", "flows").stdout == "demo: 5 flows valid\n"
