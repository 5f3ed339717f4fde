"""The API over a real database, as its own role, with two tenants that must not see one another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.warehouse import build_warehouse
from engage_pipeline.api.app import create_app
from engage_pipeline.api.tokens import Role, issue_token
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.settings import Settings

FLOWS = "/api/auto-engagement/flows"
EXECUTIONS = "/api/auto-engagement/executions"


def flow(name: str = "Website leads", priority: int = 0, **fields: Any) -> dict[str, Any]:
    """A flow as an application would send it."""
    return {
        "name": name,
        "priority": priority,
        "trigger_conditions": [
            {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": "Website"}
        ],
        "actions": [{"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}],
        **fields,
    }


@dataclass
class Api:
    """The application in this process, and the owner's view of its database."""

    settings: Settings
    url: str
    connection: Connection
    client: TestClient
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, made if need be."""
        if name not in self.tenants:
            self.tenants[name] = ensure_tenant(self.connection, name)
        return self.tenants[name]

    def token(self, tenant: str = "acme", role: Role = "admin", **changes: Any) -> str:
        """A token for the tenant."""
        given: dict[str, Any] = {"lasts": timedelta(hours=1), "now": utc_now(), "subject": "test", **changes}
        return issue_token(self.settings, user_id=self.tenant(tenant).user_id, role=role, **given)

    def call(
        self, method: str, path: str, *, tenant: str = "acme", role: Role = "admin", headers: Any = None, **request: Any
    ) -> Any:
        """One request with a token of the tenant."""
        return self.client.request(
            method,
            path,
            headers={"Authorization": f"Bearer {self.token(tenant, role)}", **(headers or {})},
            **request,
        )

    def get(self, path: str, **request: Any) -> Any:
        return self.call("GET", path, **request)

    def post(self, path: str, json: Any = None, **request: Any) -> Any:
        return self.call("POST", path, json=json, **request)

    def publish_warehouse(self) -> None:
        """The warehouse as it would be now."""
        build_warehouse(self.url, self.settings.warehouse, models_folder=MODELS_FOLDER, now=utc_now())

    def report_of_daemon(self, seconds_ago: float = 0) -> None:
        """What Dagster's daemon leaves in its own table."""
        self.connection.execute("create table if not exists dagster.daemon_heartbeats (timestamp timestamp not null)")
        self.connection.execute(
            "insert into dagster.daemon_heartbeats values ((now() at time zone 'UTC') - %s)",
            [timedelta(seconds=seconds_ago)],
        )

    def new_flow(self, name: str = "Website leads", priority: int = 0, *, tenant: str = "acme", **fields: Any) -> UUID:
        """Create a flow over the API; its id."""
        answer = self.post(FLOWS, flow(name, priority, **fields), tenant=tenant)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    def new_contact(self, email: str, *, tenant: str = "acme") -> UUID:
        """A contact that is there already; its id."""
        row = self.connection.execute(
            "insert into contacts (user_id, email, first_name, entry_type) values (%s, %s, 'Ada', 'bulk_upload')"
            " returning id",
            [self.tenant(tenant).user_id, email],
        ).fetchone()
        assert row is not None
        return row[0]

    def new_execution(
        self, flow_id: UUID, contact_id: UUID, *, tenant: str = "acme", is_test_run: bool = False, days_ago: float = 0
    ) -> UUID:
        """An execution that has just begun, with its first action pending; its id."""
        with self.connection.transaction():
            row = self.connection.execute(
                "with batch as (insert into micro_batches (kind, status, item_count)"
                " values ('new_contacts', 'done', 1) returning id)"
                " insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, is_test_run,"
                " triggered_at) select %s, 1, %s, %s, id, %s, now() - %s from batch returning id",
                [flow_id, self.tenant(tenant).user_id, contact_id, is_test_run, timedelta(days=days_ago)],
            ).fetchone()
            assert row is not None
            self.connection.execute(
                "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, due_at)"
                " values (%s, %s, 1, 'email', 'pending', now())",
                [row[0], self.tenant(tenant).user_id],
            )
        return row[0]


SECRET = "a secret of the tests, long enough for HS256"


@pytest.fixture
def api_settings(database: str, tmp_path: Path) -> Settings:
    """Settings whose limits no test reaches by chance."""
    return Settings(
        home=tmp_path,
        database_url=database,
        jwt_secret=SECRET,
        api_token_requests_per_minute=1_000_000,
        api_address_requests_per_minute=1_000_000,
    )


@pytest.fixture
def api(database: str, connection: Connection, api_settings: Settings) -> Iterator[Api]:
    """The API, up."""
    with TestClient(create_app(api_settings, database), raise_server_exceptions=False) as client:
        yield Api(api_settings, database, connection, client)
