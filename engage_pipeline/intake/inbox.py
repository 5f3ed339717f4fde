"""Files on their way: into the inbox, noticed there, and filed away with a report beside them."""

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from engage_pipeline.database import leases
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.uploads import Upload, uploads_of_paths
from engage_pipeline.settings import Settings

HERE = Path(__file__).parent
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _InboxFile:
    """A settled file; `inbox_path` is relative to the inbox, `arrived_at` when it was last touched."""

    inbox_path: str
    tenant_name: str
    name: str
    byte_count: int
    arrived_at: datetime


def place_in_inbox(settings: Settings, tenant_name: str, file: Path) -> Path:
    """Copy `file` to the tenant's folder of the inbox, where it appears whole or not at all.

    Returns:
        Where it is now; the name has a number when the folder has one of that name already.
    """
    with hidden_file(settings, tenant_name) as hidden:
        shutil.copyfile(file, hidden)
        with _reserved(hidden.parent, file.name) as place:
            hidden.replace(place)
            return place


def upload_file(
    connection: Connection, settings: Settings, tenant: Tenant, file: Path, *, options: Mapping[str, Any], now: datetime
) -> tuple[UUID, Path]:
    """Copy `file` to the inbox together with an upload that waits for it, both or none.

    Args:
        options: what is known about the file besides its bytes: see `uploads.UploadOptions`.

    Returns:
        The upload's id, and where the file is.
    """
    with hidden_file(settings, tenant.name) as hidden:
        shutil.copyfile(file, hidden)
        return upload_hidden_file(connection, settings, tenant, hidden, file.name, options=options, now=now)


def upload_hidden_file(
    connection: Connection,
    settings: Settings,
    tenant: Tenant,
    hidden: Path,
    name: str,
    *,
    options: Mapping[str, Any],
    now: datetime,
) -> tuple[UUID, Path]:
    """Let a file of `hidden_file` appear under a name like `name`, as `upload_file` does."""
    with _reserved(hidden.parent, name) as place:
        waiting = {
            "user_id": tenant.user_id,
            "file_name": place.name,
            "inbox_path": place.relative_to(settings.inbox).as_posix(),
            "file_bytes": hidden.stat().st_size,
            "options": Jsonb(dict(options)),
            "now": now,
        }
        with connection.transaction():
            # Before the file is in its place, where a sensor would register it without the options.
            [(upload_id,)] = connection.execute(load_statement(HERE, "register_upload"), waiting).fetchall()
            hidden.replace(place)
        return upload_id, place


@contextmanager
def hidden_file(settings: Settings, tenant_name: str) -> Iterator[Path]:
    """A path in the tenant's folder of the inbox to write to, which nobody looks at; gone at the end unless moved."""
    folder = settings.inbox / tenant_name
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{uuid4().hex}"
    try:
        yield hidden
    finally:
        hidden.unlink(missing_ok=True)


@contextmanager
def _reserved(folder: Path, name: str) -> Iterator[Path]:
    """A place for a file of a name like `name`; free again when the block fails."""
    place = _reserved_place(folder, Path(name))
    try:
        yield place
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def waiting_uploads(connection: Connection, settings: Settings, *, now: datetime) -> list[tuple[UUID, int]]:
    """Register what is new in the inbox, reopen uploads whose run fell silent, and name every upload that needs a run.

    Returns:
        Upload ids, oldest first, with the attempt that each waits for. Naming one again is harmless.
    """
    register_new_files(connection, settings, now=now)
    leases.reopen_lapsed(
        connection,
        "lead_uploads",
        start_timeout_seconds=settings.start_timeout_seconds,
        max_attempts=settings.max_attempts,
    )
    return leases.requested(connection, "lead_uploads")


def register_new_files(connection: Connection, settings: Settings, *, now: datetime) -> list[UUID]:
    """Give every settled file of the inbox a waiting upload, unless one is open for its path.

    A file is settled when nothing has touched it for `upload_settle_seconds`. Hidden files are left alone. A folder
    that no tenant is named like is left in place and reported as a warning. A file whose upload had finished when the
    process died is filed away instead.

    Returns:
        The new uploads; empty when nothing new lies there.
    """
    tenants = {name: user_id for user_id, name in connection.execute("select id, name from users").fetchall()}
    files = list(_settled_files(settings, tenants, now))
    earlier = uploads_of_paths(connection, [file.inbox_path for file in files])
    registered: list[UUID] = []
    for file in files:
        upload = earlier.get(file.inbox_path)
        if upload is None:
            registered += _register(connection, file, tenants[file.tenant_name], now=now)
        elif upload.is_open:
            continue
        elif file.arrived_at <= upload.last_touched_at:
            file_away(settings, upload)
        else:
            registered += _register(connection, file, tenants[file.tenant_name], now=now)
    return registered


def file_away(settings: Settings, upload: Upload) -> Path:
    """Move a finished upload's file to its shelf: <shelf>/<tenant>/.

    The shelf is `processed` for what is loaded or repeated, `held` for what is held, else `refused`.

    A JSON report lies beside it. Both names begin with the upload's id. Doing it again changes nothing, so that the
    next call repairs one that a crash cut short.

    Returns:
        Where the file is now.
    """
    place = place_on_shelf(settings, upload)
    place.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(place.with_name(f"{place.name}.json"), upload.as_json())
    # Once it has been moved, a file of that name in the inbox is another one.
    if not place.exists():
        source = settings.inbox / upload.inbox_path
        try:
            source.replace(place)
        except FileNotFoundError:
            logger.warning("the file of upload %s is no longer in the inbox", upload.upload_id)
        if source.is_relative_to(settings.inbox / ".."):
            # It was held; the report of that is overtaken.
            source.with_name(f"{source.name}.json").unlink(missing_ok=True)
    return place


def place_on_shelf(settings: Settings, upload: Upload) -> Path:
    """Where a finished upload's file belongs."""
    shelves = {"loaded": settings.processed, "repeated": settings.processed, "held": settings.held}
    shelf = shelves.get(upload.status, settings.refused)
    return shelf / upload.tenant_name / f"{upload.upload_id}-{upload.file_name}"


def _reserved_place(folder: Path, file: Path) -> Path:
    """An empty file under the first name like `file`'s that is free, so that two who place the same name get two."""
    stem = file.stem.lstrip(".") or "leads"
    for number in count(1):
        place = folder / (f"{stem}{file.suffix}" if number == 1 else f"{stem}-{number}{file.suffix}")
        try:
            place.touch(exist_ok=False)
        except FileExistsError:
            continue
        return place
    raise AssertionError("count() has no end")


def _settled_files(settings: Settings, tenants: Collection[str], now: datetime) -> Iterator[_InboxFile]:
    if not settings.inbox.is_dir():
        return
    for folder in sorted(settings.inbox.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
        if folder.name not in tenants:
            if files:
                logger.warning("%d files wait in the inbox of %r, which is no tenant", len(files), folder.name)
            continue
        for file in files:
            if not _is_text(file.name):
                logger.warning("a file in the inbox of %r has a name that is not UTF-8", folder.name)
                continue
            try:
                stat = file.stat()
            except FileNotFoundError:
                # A run filed it away since the folder was listed.
                continue
            # A copy may keep the modification time of its original; the change time is the file system's own.
            arrived_at = datetime.fromtimestamp(max(stat.st_mtime, stat.st_ctime), UTC)
            if (now - arrived_at).total_seconds() >= settings.upload_settle_seconds:
                inbox_path = file.relative_to(settings.inbox).as_posix()
                yield _InboxFile(inbox_path, folder.name, file.name, stat.st_size, arrived_at)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _register(connection: Connection, file: _InboxFile, user_id: UUID, *, now: datetime) -> list[UUID]:
    rows = connection.execute(
        load_statement(HERE, "register_upload"),
        {
            "user_id": user_id,
            "file_name": file.name,
            "inbox_path": file.inbox_path,
            "file_bytes": file.byte_count,
            "options": Jsonb({}),
            "now": now,
        },
    ).fetchall()
    return [row[0] for row in rows]


def _write_whole(path: Path, report: dict[str, Any]) -> None:
    hidden = path.with_name(f".{path.name}.{uuid4().hex}")
    hidden.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    hidden.replace(path)
