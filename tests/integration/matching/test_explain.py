"""`engage explain` shows each condition with what it saw, and the flow that matching gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows

PROJECT = Path(__file__).resolve().parents[3]
ACTIONS = [{"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}]
BUDGET = {"condition_type": "custom_field", "custom_field_name": "Budget", "condition_operator": "gt"}
TAG = {"condition_type": "tag", "condition_operator": "equals", "condition_value": "hot"}


def _engage(database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from engage_pipeline.cli import main; main()", "explain", *arguments],
        cwd=PROJECT,
        env={**os.environ, "ENGAGE_DATABASE_URL": database, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def contact_id(connection: Connection) -> str:
    tenant = ensure_tenant(connection, "acme")
    rich = {"name": "Rich", "priority": 0, "trigger_conditions": [{**BUDGET, "condition_value": 5000}]}
    hot = {"name": "Hot", "priority": 1, "trigger_conditions": [{"any": [TAG, {**BUDGET, "condition_value": 10**6}]}]}
    flows = [Flow.model_validate({**flow, "actions": ACTIONS}) for flow in (rich, hot)]
    apply_flows(connection, tenant, flows)
    row = connection.execute(
        "insert into contacts (user_id, entry_type, email, phone_e164, tags, custom_fields)"
        " values (%s, 'api', 'ada@crm.example', '+12025550100', '{x,HOT}', '{\"Budget\": 5e3}') returning id::text",
        [tenant.user_id],
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_every_condition_is_shown_with_what_it_saw(connection: Connection, database: str, contact_id: str) -> None:
    told = _engage(database, "Ada@crm.example")
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        f"contact {contact_id}",
        "  no  0 Rich",
        "    no  custom_field Budget gt 5000   seen: '5000'",
        "  yes 1 Hot",
        "    yes any",
        "      yes tag equals hot   seen: 'x', 'HOT'",
        "      no  custom_field Budget gt 1000000   seen: '5000'",
        "  wins: Hot, the first whose conditions all hold",
    ]
    (by_id,) = json.loads(_engage(database, contact_id, "--json").stdout)
    (by_phone,) = json.loads(_engage(database, "+12025550100", "--json").stdout)
    assert by_id == by_phone
    assert (by_id["winner"], [flow["is_true"] for flow in by_id["flows"]]) == ("Hot", [False, True])


def test_a_contact_that_is_not_there_and_one_that_says_no(
    connection: Connection, database: str, contact_id: str
) -> None:
    missing = _engage(database, "nobody@crm.example")
    assert missing.returncode == 1
    assert "no-contact" in missing.stderr
    assert "nobody@" not in missing.stderr
    connection.execute("update contacts set tags = '{dnc}'")
    assert "no flow: the contact has a do-not-contact tag" in _engage(database, contact_id).stdout
