"""Fixtures of the warehouse tests: a history to write into, and a build of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.warehouse import WarehouseBuild, build_warehouse
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.vocabulary import OPEN_LOG_STATUSES

STARTED_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SENT_STATUSES = ("sent", "success", "failed", "unknown", "sending")
Told = str | tuple[str, str | None]
"""An action's status, or its status and its outcome."""


@dataclass
class History:
    """One tenant per name and one flow per tenant and name, made when first mentioned."""

    connection: Connection
    tenants: dict[str, UUID] = field(default_factory=dict)
    flows: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def tenant(self, name: str, *, time_zone: str = "UTC") -> UUID:
        """The tenant's user_id."""
        if name not in self.tenants:
            self.tenants[name] = self._insert("insert into users (name, time_zone) values (%s, %s)", name, time_zone)
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

    def contact(
        self,
        tenant: str,
        *,
        lead_source: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        first_name: str | None = None,
        tags: Sequence[str] = (),
        upload_id: UUID | None = None,
        created_at: datetime = STARTED_AT,
    ) -> UUID:
        """A contact that nothing has happened to."""
        return self._insert(
            "insert into contacts (user_id, entry_type, lead_source, phone_e164, email, first_name, tags, upload_id,"
            " created_at) values (%s, 'manual', %s, %s, %s, %s, %s, %s, %s)",
            self.tenant(tenant),
            lead_source,
            phone,
            email,
            first_name,
            list(tags),
            upload_id,
            created_at,
        )

    def assign(self, tenant: str, contact_id: UUID, reason: str, *, flow: str | None = None) -> UUID:
        """A micro-batch that matched the contact, with its result. Gives the batch's id."""
        batch_id = self._insert("insert into micro_batches (kind, item_count) values ('new_contacts', %s)", 1)
        flow_id = None if flow is None else self.flow(tenant, flow)
        self.connection.execute(
            "insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason,"
            " assigned_at) values (%s, %s, %s, %s, %s, %s, %s)",
            (contact_id, batch_id, self.tenant(tenant), flow_id, flow_id and 1, reason, STARTED_AT),
        )
        return batch_id

    def upload(self, tenant: str, rejects: Mapping[str, int], *, rows_inserted: int = 0) -> UUID:
        """A loaded upload: rejected rows by reason code."""
        rejected = sum(rejects.values())
        upload_id = self._insert(
            "insert into lead_uploads (user_id, file_name, inbox_path, status, rows_read, rows_inserted,"
            " rows_rejected, created_at, finished_at) values (%s, 'leads.csv', 'leads.csv', 'loaded', %s, %s, %s, %s,"
            " %s)",
            self.tenant(tenant),
            rejected + rows_inserted,
            rows_inserted,
            rejected,
            STARTED_AT,
            STARTED_AT + timedelta(seconds=3),
        )
        for reason, count in rejects.items():
            for line in range(count):
                self._insert(
                    "insert into rejected_rows (upload_id, line_number, raw_row, reason_code, reason)"
                    " values (%s, %s, '{}', %s, 'a reason')",
                    upload_id,
                    line + 2,
                    reason,
                    returning="upload_id",
                )
        return upload_id

    def walk(
        self,
        tenant: str,
        flow: str,
        told: Mapping[str, Told] | Sequence[tuple[str, Told]],
        *,
        is_test_run: bool = False,
        phone: str | None = None,
        email: str | None = None,
        first_name: str | None = None,
        lead_source: str | None = None,
        error_message: str | None = None,
        request: str | None = None,
        code: str | None = None,
        cost_cents: float | None = None,
        call_seconds: float | None = None,
        sent_at: datetime = STARTED_AT,
        contact_id: UUID | None = None,
    ) -> UUID:
        """A contact, new unless given, walks the flow: one action log per (action_type, told). Gives the execution."""
        if contact_id is None:
            contact_id = self.contact(tenant, lead_source=lead_source, phone=phone, email=email, first_name=first_name)
        batch_id = self.assign(tenant, contact_id, "matched", flow=flow)
        execution_id = self._insert(
            "insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status,"
            " triggered_at, is_test_run) values (%s, 1, %s, %s, %s, 'running', %s, %s)",
            self.flow(tenant, flow),
            self.tenant(tenant),
            contact_id,
            batch_id,
            STARTED_AT,
            is_test_run,
        )
        pairs = told.items() if isinstance(told, Mapping) else told
        for order, (action_type, each) in enumerate(pairs, start=1):
            status, outcome = (each, _usual_outcome(each)) if isinstance(each, str) else each
            was_taken = status in ("sent", "success") or (status == "failed" and outcome not in (None, "refused"))
            self._insert(
                "insert into flow_action_logs (execution_id, user_id, action_order, action_type, status, due_at,"
                " skip_reason, error_message, request, outcome, executed_at, accepted_at, result_data, cost_cents,"
                " call_seconds, created_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s,"
                " jsonb_strip_nulls(jsonb_build_object('code', %s::text)), %s, %s, %s)",
                execution_id,
                self.tenant(tenant),
                order,
                action_type,
                status,
                STARTED_AT if status in OPEN_LOG_STATUSES else None,
                "previous_success" if status == "skipped" else None,
                error_message,
                request,
                outcome,
                sent_at if status in SENT_STATUSES else None,
                sent_at + timedelta(seconds=1) if was_taken else None,
                code,
                cost_cents,
                call_seconds,
                STARTED_AT,
            )
        return execution_id

    def _insert(self, statement: str, *values: object, returning: str = "id") -> UUID:
        row = self.connection.execute(f"{statement} returning {returning}", values).fetchone()
        assert row is not None
        return UUID(str(row[0]))


def _usual_outcome(status: str) -> str | None:
    """What a provider without a feed leaves on a log."""
    return {"success": "accepted", "sent": "accepted", "failed": "refused"}.get(status)


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

    def build_from(models_folder: Path = MODELS_FOLDER, *, is_full: bool = False) -> WarehouseBuild:
        return build_warehouse(database, path, models_folder=models_folder, now=datetime.now(UTC), is_full=is_full)

    return build_from
