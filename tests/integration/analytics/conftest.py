"""Fixtures of the warehouse tests: a history to write into, and a build of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.warehouse import WarehouseBuild, build_warehouse
from engage_pipeline.database.connections import Connection

STARTED_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DUE_STATUSES = ("pending", "sending", "unknown")


@dataclass
class History:
    """One tenant per name and one flow per tenant and name, made when first mentioned."""

    connection: Connection
    tenants: dict[str, UUID] = field(default_factory=dict)
    flows: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def tenant(self, name: str) -> UUID:
        """The tenant's user_id."""
        if name not in self.tenants:
            self.tenants[name] = self._insert("insert into users (name) values (%s)", name)
        return self.tenants[name]

    def flow(self, tenant: str, name: str) -> UUID:
        """The flow's id; its priority is the next free one."""
        if (tenant, name) not in self.flows:
            flow_id = self._insert(
                "insert into auto_engagement_flows (user_id, name, priority) values (%s, %s, %s)",
                self.tenant(tenant),
                name,
                len(self.flows),
            )
            self.connection.execute(
                "insert into flow_versions (flow_id, version, definition) values (%s, 1, '{}')", (flow_id,)
            )
            self.flows[tenant, name] = flow_id
        return self.flows[tenant, name]

    def walk(
        self,
        tenant: str,
        flow: str,
        statuses: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        is_test_run: bool = False,
        phone: str | None = None,
        email: str | None = None,
        first_name: str | None = None,
        error_message: str | None = None,
        request: str | None = None,
    ) -> UUID:
        """A new contact walks the flow: one action log per (action_type, status). Gives the execution's id."""
        user_id, flow_id = self.tenant(tenant), self.flow(tenant, flow)
        contact_id = self._insert(
            "insert into contacts (user_id, entry_type, phone_e164, email, first_name)"
            " values (%s, 'manual', %s, %s, %s)",
            user_id,
            phone,
            email,
            first_name,
        )
        batch_id = self._insert("insert into micro_batches (kind, item_count) values ('new_contacts', %s)", 1)
        execution_id = self._insert(
            "insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status,"
            " triggered_at, is_test_run) values (%s, 1, %s, %s, %s, 'running', %s, %s)",
            flow_id,
            user_id,
            contact_id,
            batch_id,
            STARTED_AT,
            is_test_run,
        )
        pairs = statuses.items() if isinstance(statuses, Mapping) else statuses
        for order, (action_type, status) in enumerate(pairs, start=1):
            self._insert(
                "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, due_at,"
                " skip_reason, error_message, request) values (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)",
                execution_id,
                user_id,
                order,
                action_type,
                status,
                STARTED_AT if status in DUE_STATUSES else None,
                "if_previous_success" if status == "skipped" else None,
                error_message,
                request,
            )
        return execution_id

    def _insert(self, statement: str, *values: object) -> UUID:
        row = self.connection.execute(f"{statement} returning id", values).fetchone()
        assert row is not None
        return UUID(str(row[0]))


@pytest.fixture
def history(connection: Connection) -> History:
    return History(connection)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the warehouse is published."""
    return tmp_path / "warehouse" / "engage.duckdb"


@pytest.fixture
def build(database: str, path: Path) -> Callable[..., WarehouseBuild]:
    """Builds the warehouse of the test's own database; `models_folder` defaults to the project's models."""

    def build_from(models_folder: Path = MODELS_FOLDER) -> WarehouseBuild:
        return build_warehouse(database, path, models_folder=models_folder, now=datetime.now(UTC))

    return build_from
