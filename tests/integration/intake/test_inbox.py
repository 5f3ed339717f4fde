"""The way of a file: inbox, upload, contacts, shelf, and what a crash in between leaves."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import acquire
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.inbox import file_away, place_in_inbox, register_new_files, waiting_uploads
from engage_pipeline.intake.ingest import ingest
from engage_pipeline.intake.uploads import find_upload
from engage_pipeline.settings import Settings

GOOD = "Lead Id,Email\n1,ada@example.com\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", upload_settle_seconds=0)


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text(GOOD)
    return path


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def test_a_file_goes_from_the_inbox_to_the_shelf(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    place = place_in_inbox(settings, "demo", leads)
    [upload_id] = register_new_files(connection, settings, now=now())
    assert register_new_files(connection, settings, now=now()) == []
    books = ingest(database, settings, upload_id, 1)
    assert books is not None
    assert books.rows_inserted == 1
    assert not place.exists()
    [report, filed] = sorted((settings.processed / "demo").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert filed.read_text() == GOOD
    assert json.loads(report.read_text())["rows_inserted"] == 1
    assert ingest(database, settings, upload_id, 1) is None


def test_a_refused_file_goes_to_its_own_shelf(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    leads.write_text("age,contact\n1,unknown\n")
    place_in_inbox(settings, "demo", leads)
    [upload_id] = register_new_files(connection, settings, now=now())
    ingest(database, settings, upload_id, 1)
    names = sorted(path.name for path in (settings.refused / "demo").iterdir())
    assert names == [f"{upload_id}-leads.csv", f"{upload_id}-leads.csv.json"]


def test_a_name_that_is_taken_gets_a_number(settings: Settings, leads: Path) -> None:
    names = [place_in_inbox(settings, "demo", leads).name for _ in range(3)]
    assert names == ["leads.csv", "leads-2.csv", "leads-3.csv"]
    assert len(list((settings.inbox / "demo").iterdir())) == 3


def test_hidden_unsettled_and_unknown_files_wait(
    connection: Connection, tenant: Tenant, settings: Settings, leads: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place_in_inbox(settings, "nobody", leads)
    place_in_inbox(settings, "demo", leads).rename(settings.inbox / "demo/.hidden.csv")
    assert register_new_files(connection, settings, now=now()) == []
    assert "'nobody'" in caplog.text
    place_in_inbox(settings, "demo", leads)
    slow = settings.model_copy(update={"upload_settle_seconds": 60})
    assert register_new_files(connection, slow, now=now()) == []
    assert len(register_new_files(connection, slow, now=now() + timedelta(seconds=61))) == 1


def test_a_crash_between_commit_and_move_is_repaired_by_the_next_look(
    database: str,
    connection: Connection,
    tenant: Tenant,
    settings: Settings,
    leads: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = place_in_inbox(settings, "demo", leads)
    [upload_id] = register_new_files(connection, settings, now=now())
    with monkeypatch.context() as patched:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("engage_pipeline.intake.ingest.file_away", die)
        with pytest.raises(KeyboardInterrupt):
            ingest(database, settings, upload_id, 1)
    assert place.exists()
    assert register_new_files(connection, settings, now=now()) == []
    assert not place.exists()
    upload = find_upload(connection, upload_id)
    filed = file_away(settings, upload)
    assert filed == file_away(settings, upload)
    assert filed.read_text() == GOOD


def test_a_new_file_under_an_old_name_is_a_new_upload(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    for number in range(2):
        leads.write_text(GOOD.replace("ada", f"ada{number}"))
        place_in_inbox(settings, "demo", leads)
        [upload_id] = register_new_files(connection, settings, now=now())
        ingest(database, settings, upload_id, 1)
        file_away(settings, find_upload(connection, upload_id))
    assert connection.execute("select count(*), count(distinct inbox_path) from lead_uploads").fetchone() == (2, 1)


def test_a_superseded_attempt_writes_nothing(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    place_in_inbox(settings, "demo", leads)
    [upload_id] = register_new_files(connection, settings, now=now())
    connection.execute("update lead_uploads set attempt = 2")
    assert ingest(database, settings, upload_id, 1) is None
    assert connection.execute("select count(*) from contacts").fetchone() == (0,)


def test_an_upload_whose_run_was_killed_is_given_to_another_attempt(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    place_in_inbox(settings, "demo", leads)
    [(upload_id, attempt)] = waiting_uploads(connection, settings, now=now())
    assert acquire(connection, "lead_uploads", upload_id, attempt=attempt, lease_seconds=0) is not None
    assert waiting_uploads(connection, settings, now=now()) == [(upload_id, attempt + 1)]
    assert ingest(database, settings, upload_id, attempt) is None
    books = ingest(database, settings, upload_id, attempt + 1)
    assert books is not None
    assert books.rows_inserted == 1
    assert waiting_uploads(connection, settings, now=now()) == []


def test_an_upload_whose_attempts_are_spent_is_failed_and_filed_as_refused(
    connection: Connection, tenant: Tenant, settings: Settings, leads: Path
) -> None:
    place_in_inbox(settings, "demo", leads)
    for _ in range(settings.max_attempts):
        [(upload_id, attempt)] = waiting_uploads(connection, settings, now=now())
        assert acquire(connection, "lead_uploads", upload_id, attempt=attempt, lease_seconds=0) is not None
    assert waiting_uploads(connection, settings, now=now()) == []
    assert find_upload(connection, upload_id).status == "failed"
    assert waiting_uploads(connection, settings, now=now()) == []
    assert [path.suffix for path in sorted((settings.refused / "demo").iterdir())] == [".csv", ".json"]
