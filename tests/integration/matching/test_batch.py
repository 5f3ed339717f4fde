"""Matching a micro-batch in a real PostgreSQL: what is read, what is stored, and that a retry changes nothing."""

from typing import Any
from uuid import UUID

import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease, LeaseLost, acquire
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import apply_flows
from engage_pipeline.matching.batch import assign_batch, current_program

ACTIONS = [{"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}]


def _flow(name: str, priority: int, *conditions: dict[str, Any]) -> Flow:
    return Flow.model_validate(
        {"name": name, "priority": priority, "trigger_conditions": conditions, "actions": ACTIONS}
    )


def _test(kind: str, operator: str, value: object = None, field: str | None = None) -> dict[str, Any]:
    return {
        "condition_type": kind,
        "condition_operator": operator,
        "condition_value": value,
        "custom_field_name": field,
    }


@pytest.fixture
def lease(connection: Connection) -> Lease:
    row = connection.execute(
        "insert into micro_batches (kind, item_count, formed_at) values ('new_contacts', 1, '2026-05-10T12:00Z')"
        " returning id"
    ).fetchone()
    assert row is not None
    found = acquire(connection, "micro_batches", row[0], attempt=1, lease_seconds=60)
    assert found is not None
    return found


def _contact(connection: Connection, lease: Lease, user_id: UUID, **values: object) -> None:
    filled = {
        "email": "ada@crm.example",
        "phone_e164": None,
        "tags": [],
        "custom_fields": "{}",
        "created_at": "2026-05-10T11:00Z",
        **values,
    }
    connection.execute(
        "insert into contacts"
        " (user_id, entry_type, micro_batch_id, email, phone_e164, tags, custom_fields, created_at) values"
        " (%(user_id)s, 'api', %(batch)s, %(email)s, %(phone_e164)s, %(tags)s, %(custom_fields)s, %(created_at)s)",
        {**filled, "user_id": user_id, "batch": lease.work_id},
    )


@pytest.mark.parametrize(
    ("test", "values"),
    [
        (_test("tag", "equals", "hot"), {"tags": ["x", " HOT"]}),
        (_test("email_domain", "equals", "other.example"), {"email": "ada@other.example"}),
        (_test("phone_country", "equals", "GB"), {"phone_e164": "+442079460000"}),
        (_test("created_at", "within_last", 0.5), {"created_at": "2026-05-10T00:00Z"}),
        (_test("custom_field", "gt", 9007199254740992, "Budget"), {"custom_fields": '{"Budget": 9007199254740993}'}),
        (_test("custom_field", "equals", 0.0000001, "Rate"), {"custom_fields": '{"Rate": 1e-7}'}),
        ({"none": [_test("tag", "is_not_set")]}, {"tags": ["x"]}),
    ],
)
def test_every_type_is_read_from_the_contact(
    connection: Connection, database: str, lease: Lease, test: dict[str, Any], values: dict[str, object]
) -> None:
    tenant = ensure_tenant(connection, "acme")
    apply_flows(connection, tenant, [_flow("Wanted", 0, test)])
    _contact(connection, lease, tenant.user_id, **values)
    _contact(connection, lease, tenant.user_id, created_at="2026-05-01T00:00Z")
    assigned = assign_batch(database, lease)
    assert sorted((each.flow_name or "", each.reason) for each in assigned) == [
        ("", "no_match"),
        ("Wanted", "matched"),
    ]


def test_an_assignment_stands_whatever_the_flows_say_later(connection: Connection, database: str, lease: Lease) -> None:
    tenant = ensure_tenant(connection, "acme")
    apply_flows(connection, tenant, [_flow("First", 0)])
    _contact(connection, lease, tenant.user_id)
    before = assign_batch(database, lease)
    apply_flows(connection, tenant, [_flow("Second", 0)], delete_missing=True)
    assert assign_batch(database, lease) == before
    connection.execute("update micro_batches set lease_token = nextval('lease_tokens')")
    with pytest.raises(LeaseLost):
        assign_batch(database, lease)


def test_a_batch_whose_contacts_are_gone_is_an_empty_answer(
    connection: Connection, database: str, lease: Lease
) -> None:
    assert assign_batch(database, lease) == []


def test_the_program_is_compiled_again_only_for_another_version(connection: Connection) -> None:
    tenant = ensure_tenant(connection, "acme")
    apply_flows(connection, tenant, [_flow("A", 0)])
    first = current_program(connection)
    assert current_program(connection) is first
    apply_flows(connection, tenant, [_flow("A", 0, _test("tag", "is_set"))])
    second = current_program(connection)
    assert second is not first
    assert [flow.version for flow in second.flows] == [2]
