"""Lint with contacts: what they show is counted, and only what they leave open is searched for."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from engage_pipeline.clock import utc_now
from engage_pipeline.flows.store import list_flows
from engage_pipeline.flows.yaml_file import to_yaml
from engage_pipeline.matching.lint import LintReport, Witness, lint_flows
from tests.integration.ledger_world import World, flow_of

PROJECT = Path(__file__).resolve().parents[3]


def _source(operator: str, value: object = None) -> dict[str, Any]:
    return {"condition_type": "lead_source", "condition_operator": operator, "condition_value": value}


def _lint(world: World) -> LintReport:
    flows = list_flows(world.connection, world.tenant)
    return lint_flows(world.url, world.tenant.user_id, flows, days=30, now=utc_now())


def test_recent_contacts_are_counted_and_are_witnesses(world: World) -> None:
    world.apply(
        flow_of("email", name="Web", trigger_conditions=[_source("contains", "web")]),
        flow_of("email", name="Webinar", priority=1, trigger_conditions=[_source("equals", "webinar")]),
        flow_of("email", name="Fair", priority=2, trigger_conditions=[_source("equals", "fair")]),
    )
    webinar = world.contact(lead_source="Webinar")
    world.contact(lead_source="web")
    nobody = world.contact(lead_source="phone")
    world.contact(lead_source="phone", tags=["dnc"])
    world.contact(lead_source="phone", created_at=utc_now() - timedelta(days=40))
    report = _lint(world)
    assert report.recent.contact_count == 3
    assert (report.recent.without_flow_count, report.recent.without_flow) == (1, Witness(str(nobody)))
    assert report.recent.wins == {"Web": 2, "Webinar": 0, "Fair": 0}
    (covered,) = report.never_wins
    assert (covered.flow, covered.covered_by, covered.witness) == ("Webinar", ("Web",), Witness(str(webinar)))
    (overlap,) = report.overlaps
    assert (overlap.flow, overlap.other, overlap.contact_count) == ("Web", "Webinar", 1)
    assert overlap.witness == Witness(str(webinar))


def test_the_command_reads_what_is_in_force_or_files(world: World, tmp_path: Path) -> None:
    def engage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from engage_pipeline.cli import main; main()", "flows", "lint", *arguments],
            cwd=PROJECT,
            env={**os.environ, "ENGAGE_DATABASE_URL": world.url, "COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    world.apply(flow_of("email", name="All"), flow_of("email", name="Idle", priority=1))
    world.contact()
    (report,) = json.loads(engage("--json"))
    assert (report["tenant"], report["recent"]["without_flow_share"]) == ("acme", 0.0)
    assert report["never_wins"][0]["covered_by"] == ["All"]
    file = tmp_path / "flows.yaml"
    odd = [_source("equals", "a"), _source("equals", "b")]
    file.write_text(to_yaml([flow_of("email", name="Odd", trigger_conditions=odd)], tenant_name="acme"))
    shown = engage(str(file))
    assert "  never true: Odd: its conditions hold for no contact\n" in shown
    assert "  no flow takes 1 of the 1 contacts of the last 30 days (100.0%)\n" in shown
