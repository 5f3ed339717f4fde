"""Reads are bounded: the same number of statements for one row and for many, and plans that use indexes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engage_pipeline.database.api_role import api_url
from engage_pipeline.database.connections import Connection, connect
from tests.integration.api.conftest import EXECUTIONS, FLOWS, Api


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that this process sends meanwhile."""
    sent: list[str] = []
    true_execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **more: Any) -> Any:
        sent.append(str(query))
        return true_execute(self, query, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", counted)
        yield sent


def count_of(api: Api, path: str, **request: Any) -> int:
    # Built first: making a token asks for the tenant.
    token = {"Authorization": f"Bearer {api.token()}"}
    with statements() as sent:
        answer = api.client.get(path, headers=token, **request)
    assert answer.status_code == 200, answer.text
    return len(sent)


def test_a_list_costs_the_same_statements_for_one_row_and_for_many(api: Api):
    flow_id = api.new_flow("First", 0)
    contact_id = api.new_contact("ada@example.com")
    execution_id = api.new_execution(flow_id, contact_id)
    api.post("/api/suppressions", {"addresses": [{"channel": "email", "address": "x0@example.com"}]})
    paths = (
        FLOWS,
        f"{FLOWS}/{flow_id}",
        f"{FLOWS}/{flow_id}/executions",
        EXECUTIONS,
        f"{EXECUTIONS}/statistics",
        f"{EXECUTIONS}/{execution_id}",
        f"/api/contacts/{contact_id}",
        "/api/contacts?email=ada@example.com",
        "/api/suppressions",
        "/api/uploads",
        "/api/templates",
        "/api/batches",
        "/api/pauses",
        "/api/stopped-templates",
    )
    one = {path: count_of(api, path) for path in paths}
    for number in range(1, 21):
        other = api.new_flow(f"Flow {number}", number)
        api.new_execution(flow_id, api.new_contact(f"lead{number}@example.com"))
        api.new_execution(other, contact_id)
        api.post("/api/suppressions", {"addresses": [{"channel": "email", "address": f"x{number}@example.com"}]})
        api.connection.execute(
            "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, skip_reason)"
            " values (%s, %s, %s, 'email', 'skipped', 'dnc')",
            [execution_id, api.tenant("acme").user_id, number + 1],
        )
    many = {path: count_of(api, path, params={"limit": 100} if "?" not in path else None) for path in paths}
    # Counts are remembered, and then cost none.
    assert {path: count for path, count in many.items() if count > one[path]} == {}
    assert max(many.values()) <= 6


def test_a_change_of_priorities_costs_the_same_statements_for_two_flows_and_for_many(api: Api):
    ids = [api.new_flow(f"Flow {number}", number) for number in range(30)]

    def cost(chosen: list[UUID]) -> int:
        wanted = [{"id": str(each), "priority": 1000 * len(chosen) + place} for place, each in enumerate(chosen)]
        token = {"Authorization": f"Bearer {api.token()}"}
        with statements() as sent:
            answer = api.client.post(f"{FLOWS}/priorities/bulk-update", json={"priorities": wanted}, headers=token)
        assert answer.json()["updated_count"] == len(chosen), answer.text
        return len(sent)

    assert cost(ids[:2]) == cost(ids[2:])


@pytest.fixture
def large(api: Api, connection: Connection) -> Api:
    """100,000 executions of two tenants, one of whom has a hundredth of them."""
    for tenant, share in (("acme", 99), ("other", 1)):
        user_id = api.tenant(tenant).user_id
        flow_id = api.new_flow("Everyone", 0, tenant=tenant)
        connection.execute(
            "with batch as (insert into micro_batches (kind, status, item_count)"
            " values ('new_contacts', 'done', 1) returning id),"
            " people as (insert into contacts (user_id, email, phone_e164, external_id, source_system, entry_type,"
            " micro_batch_id) select %(user)s, 'lead' || n || '@example.com', '+1202' || 5550000 + n, n, 'crm',"
            " 'bulk_upload', batch.id from batch, generate_series(1, %(count)s) as n returning id)"
            " insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status,"
            " triggered_at) select %(flow)s, 1, %(user)s, people.id, batch.id,"
            " (array['completed', 'completed', 'completed', 'failed'])[1 + (random() * 3)::int],"
            " now() - random() * interval '90 days' from people, batch",
            {"user": user_id, "flow": flow_id, "count": share * 1000},
        )
        connection.execute(
            "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status)"
            " select id, user_id, 1, 'email', 'success' from flow_executions where user_id = %s",
            [user_id],
        )
    connection.execute("update flow_executions set status = 'completed' where status = 'pending'")
    for table in ("contacts", "flow_executions", "flow_action_logs"):
        connection.execute(f"analyze {table}")
    return api


def plans_of(api: Api, path: str, tenant: str, params: dict[str, Any]) -> str:
    """The plans of the statements that a request sends, as the API's role has them."""
    token = {"Authorization": f"Bearer {api.token(tenant)}"}
    asked: list[tuple[str, Any]] = []
    true_execute = psycopg.Cursor.execute

    def noted(self: Any, query: Any, given: Any = None, **more: Any) -> Any:
        asked.append((str(query), given))
        return true_execute(self, query, given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", noted)
        answer = api.client.get(path, headers=token, params=params)
    assert answer.status_code == 200, answer.text
    lines = []
    with connect(api_url(api.url)) as role, role.transaction():
        role.execute("select set_config('engage.tenant', %s, true)", [str(api.tenant(tenant).user_id)])
        for query, given in asked:
            if re.search(r"\b(flow_executions|flow_action_logs|contacts)\b", query):
                lines += [line for (line,) in role.execute(f"explain {query}", given).fetchall()]
    assert lines, path
    return "\n".join(lines)


def test_plans_at_a_hundred_thousand_executions_use_indexes(large: Api):
    for tenant in ("acme", "other"):
        flow_id = large.get(FLOWS, tenant=tenant).json()["items"][0]["id"]
        first = large.get(EXECUTIONS, tenant=tenant, params={"limit": 5}).json()
        execution = first["items"][0]
        questions: list[tuple[str, dict[str, Any]]] = [
            (EXECUTIONS, {}),
            (EXECUTIONS, {"cursor": first["next_cursor"]}),
            (EXECUTIONS, {"status": "failed"}),
            (EXECUTIONS, {"status": "running"}),
            (EXECUTIONS, {"contact_id": execution["contact_id"]}),
            (EXECUTIONS, {"triggered_from": "2026-01-01T00:00:00Z", "is_test_run": False}),
            (EXECUTIONS, {"flow_id": flow_id}),
            (f"{FLOWS}/{flow_id}/executions", {}),
            (f"{EXECUTIONS}/{execution['id']}", {}),
            (f"/api/contacts/{execution['contact_id']}", {}),
            ("/api/contacts", {"email": "lead7@example.com"}),
            ("/api/contacts", {"phone": "+12025550107"}),
            ("/api/contacts", {"external_id": "7", "source_system": "crm"}),
        ]
        for path, params in questions:
            plan = plans_of(large, path, tenant, params)
            assert not re.search(r"Seq Scan on (flow_executions|flow_action_logs|contacts)", plan), (path, params, plan)
