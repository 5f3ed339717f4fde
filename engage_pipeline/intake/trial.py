"""Loads a file as an upload would, shows what became of it, and takes everything back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from psycopg.types.json import Jsonb

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.errors import NothingToTry
from engage_pipeline.intake.load import HERE, load_within
from engage_pipeline.intake.uploads import UploadBooks
from engage_pipeline.settings import Settings


@contextmanager
def trial_load(
    connection: Connection, path: Path, tenant: Tenant, settings: Settings, *, now: datetime
) -> Iterator[UploadBooks]:
    """Within the block, on this connection only, the tenant's contacts are as if the file had been loaded at `now`.

    Rejected rows hold nothing up. Loads of the tenant wait meanwhile, so the block reads what it needs and ends.

    Raises:
        NothingToTry: the file would be refused, or was loaded before.
    """
    with connection.transaction(force_rollback=True):
        upload = {
            "user_id": tenant.user_id,
            "file_name": path.name,
            "inbox_path": f"{tenant.name}/.trial-{uuid4().hex}",
            "file_bytes": path.stat().st_size,
            "options": Jsonb({"accept_rejects": True}),
            "now": now,
        }
        [(upload_id,)] = connection.execute(load_statement(HERE, "register_upload"), upload).fetchall()
        books = load_within(connection, upload_id, path=path, tenant=tenant, settings=settings, now=now)
        if books.status != "loaded":
            raise NothingToTry(path.name, books.refusal_reason)
        # Nobody else makes statistics of rows that are not committed, and without them reading them takes minutes.
        connection.execute("analyze contacts, suppressions")
        yield books
