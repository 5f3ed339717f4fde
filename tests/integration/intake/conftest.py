"""Fixtures of the intake tests: a tenant, and loading one file for it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease, acquire
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.intake.load import load_upload
from engage_pipeline.intake.uploads import UploadBooks
from engage_pipeline.settings import Settings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

LoadFile = Callable[[str | bytes | Path], UploadBooks]


def open_upload(connection: Connection, tenant: Tenant) -> Lease:
    """A running upload row of the tenant, with its lease."""
    upload_id: UUID = connection.execute(
        "insert into lead_uploads (user_id, file_name, inbox_path) values (%s, 'leads.csv', %s) returning id",
        [tenant.user_id, f"{tenant.name}/{uuid4()}.csv"],
    ).fetchone()[0]  # type: ignore[index]
    lease = acquire(connection, "lead_uploads", upload_id, attempt=1, lease_seconds=60)
    assert lease is not None
    return lease


@pytest.fixture
def tenant(connection: Connection) -> Tenant:
    """A tenant that takes files with any share of rejected rows; the tests of held uploads lower it."""
    found = ensure_tenant(connection, "demo")
    connection.execute("update users set reject_threshold = 1")
    return found


@pytest.fixture
def load_file(database: str, connection: Connection, tenant: Tenant, tmp_path: Path) -> LoadFile:
    """Load a text, bytes or a file that exists as an upload of the tenant."""

    def load(content: str | bytes | Path) -> UploadBooks:
        path = content if isinstance(content, Path) else tmp_path / f"{uuid4()}.csv"
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        return load_upload(
            database, open_upload(connection, tenant), path=path, tenant=tenant, settings=Settings(), now=NOW
        )

    return load
