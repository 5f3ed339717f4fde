"""Contacts and flows for tests of matching, and the answer of the real matcher for them."""

import atexit
import json
from datetime import UTC, datetime
from functools import cache
from uuid import UUID, uuid4

import duckdb
import pyarrow as pa

from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS, ASSIGNMENT_REASONS
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import assign
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

TENANTS = [UUID(int=1), UUID(int=2)]
NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
EMAIL = {"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}
CALL = {
    "action_order": 1,
    "action_type": "ai_call",
    "action_config": {"agent_id": "7f0c9a52-3d1e-4b8a-9c64-2e5d8f1b7a30", "phone_number_id": "+12025550100"},
}
NUMBERS = {"+1": "+12025550100", "+44": "+442079460000", "+91": "+919876543210"}
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("contact_id", "user_id", "lead_source", "entry_type", "tags")),
        *((name, pa.string()) for name in ("email_domain", "phone_e164", "custom_fields")),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("is_dnc", pa.bool_()),
        *((f"can_{channel}{suffix}", pa.bool_()) for channel in ADDRESS_COLUMNS for suffix in ("", "_address")),
    ]
)


@cache
def shared_staging():
    atexit.register(shared_staging.cache_clear)
    return duckdb.connect(config={"threads": 1})


def stored(priority, conditions, *, tenant=TENANTS[0], action=EMAIL):
    definition = Flow.model_validate(
        {"name": f"Flow {priority}", "priority": priority, "trigger_conditions": conditions, "actions": [action]}
    )
    return StoredFlow(uuid4(), tenant, 1, definition)


def condition(kind, operator, value=None, field=None):
    return {
        "condition_type": kind,
        "condition_operator": operator,
        "condition_value": value,
        "custom_field_name": field,
    }


def contact(*, country=None, fields=None, tags=(), **values):
    channels = {f"can_{channel}{suffix}": True for channel in ADDRESS_COLUMNS for suffix in ("", "_address")}
    return {
        "contact_id": str(uuid4()),
        "user_id": str(TENANTS[0]),
        "lead_source": None,
        "entry_type": "bulk_upload",
        "tags": json.dumps(list(tags)),
        "email_domain": None,
        "country": country,
        "phone_e164": NUMBERS.get(country),
        "created_at": NOW,
        "custom_fields": json.dumps(fields or {}),
        "is_dnc": False,
        **channels,
        **values,
    }


def columns_of(rows, program, now=NOW):
    staging = shared_staging().cursor()
    staging.register("contacts", pa.Table.from_pylist(rows, schema=SCHEMA))
    for batch in staged_batches(staging, program.custom_field_names):
        yield ContactColumns(batch, program.custom_field_names, microseconds(now))


def outcome(rows, flows):
    """(priority of the flow that wins, reason) of each row."""
    program = flows if isinstance(flows, Program) else Program(flows)
    answers = []
    for columns in columns_of(rows, program):
        assigned = assign(program, columns)
        for flow, reason in zip(assigned.flows.tolist(), assigned.reasons.tolist(), strict=True):
            priority = None if flow < 0 else program.flows[flow].definition.priority
            answers.append((priority, ASSIGNMENT_REASONS[reason]))
    return answers
