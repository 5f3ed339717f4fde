"""`engage explain` shows each condition with what it saw, and the flow that matching gives."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows
from engage_pipeline.matching.explain import Explanation, StoredAssignment, explain_contact

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


def test_the_reason_why_nothing_starts_and_what_was_assigned_last(
    connection: Connection, database: str, contact_id: str
) -> None:
    def explained() -> Explanation:
        (found,) = explain_contact(connection, database, contact_id, now=datetime(2026, 5, 10, tzinfo=UTC))
        return found

    assert (explained().winner, explained().reason, explained().assigned) == ("Hot", "matched", None)
    connection.execute(
        "insert into suppressions (user_id, channel, address, source)"
        " select user_id, 'email', email, 'list' from contacts"
    )
    assert (explained().winner, explained().reason) == ("Hot", "suppressed")
    connection.execute("update contacts set email = null")
    assert (explained().winner, explained().reason) == ("Hot", "unreachable")
    connection.execute("update contacts set tags = '{}'")
    assert (explained().winner, explained().reason) == (None, "no_match")
    connection.execute("insert into micro_batches (kind, item_count, formed_at) values ('new_contacts', 1, now())")
    connection.execute(
        "insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason, assigned_at)"
        " select contacts.id, micro_batches.id, contacts.user_id, flows.id, 1, 'matched', '2026-05-09T08:00Z'"
        " from contacts, micro_batches, auto_engagement_flows as flows where flows.name = 'Rich'"
    )
    assert explained().assigned == StoredAssignment("Rich", 1, "matched", "2026-05-09T08:00:00+00:00")
    assert "  assigned 2026-05-09T08:00:00+00:00: Rich version 1, matched" in _engage(database, contact_id).stdout
