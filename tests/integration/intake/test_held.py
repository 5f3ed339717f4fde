"""A file with too many rejected rows waits for a person, and what it says no to does not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engage_pipeline.cli.app import app
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.errors import EngageError
from engage_pipeline.intake.inbox import upload_file, waiting_uploads
from engage_pipeline.intake.ingest import ingest
from engage_pipeline.intake.uploads import UploadBooks, find_upload
from engage_pipeline.settings import Settings, load_settings
from tests.integration.intake.conftest import LoadFile

HALF_BAD = (
    "Lead Id,Phone,Email,Do Not Call\n"
    "1,212-555-0101,ada@example.com,yes\n2,212-555-0102,,\nshort\n,12,,\n9,,,yes\n,,,\n"
)


@pytest.fixture
def settings(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "home"))
    load_settings.cache_clear()
    yield load_settings()
    load_settings.cache_clear()


@pytest.fixture
def held(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, load_file: LoadFile, tmp_path: Path
) -> UploadBooks:
    """Half of its rows rejected, for a tenant that allows 20 %; the contact 9 is known."""
    load_file("Lead Id,Phone\n9,212-555-0109\n")
    connection.execute("update users set reject_threshold = default")
    file = tmp_path / "half-bad.csv"
    file.write_text(HALF_BAD)
    upload_id, _ = upload_file(connection, settings, tenant, file, options={}, now=datetime.now(UTC))
    books = ingest(database, settings, upload_id, 1)
    assert books is not None
    return books


def run_what_waits(database: str, connection: Connection, settings: Settings) -> list[UploadBooks | None]:
    now = datetime.now(UTC) + timedelta(seconds=10)
    waiting = waiting_uploads(connection, settings, now=now)
    return [ingest(database, settings, upload_id, attempt) for upload_id, attempt in waiting]


def test_a_held_upload_makes_no_contact_and_its_wishes_count(
    held: UploadBooks, connection: Connection, settings: Settings
) -> None:
    assert (held.status, held.rows_read, held.rows_held, held.rows_rejected) == ("held", 6, 3, 3)
    assert connection.execute("select count(*) from contacts").fetchone() == (1,)
    assert connection.execute("select count(*) from rejected_rows").fetchone() == (3,)
    wishes = connection.execute("select channel, address, source from suppressions order by address").fetchall()
    assert wishes == [
        ("ai_call", "+12125550101", "column Do Not Call"),
        ("ai_call", "+12125550109", "column Do Not Call"),
    ]
    [file] = (settings.held / "demo").glob("*.csv")
    assert file.read_text() == HALF_BAD
    assert not list((settings.inbox / "demo").iterdir())


def test_a_released_upload_is_loaded_with_its_rejects(
    held: UploadBooks, database: str, connection: Connection, settings: Settings
) -> None:
    result = CliRunner().invoke(app, ["uploads", "release", str(held.upload_id)])
    assert result.exit_code == 0, result.output
    [books] = run_what_waits(database, connection, settings)
    assert books is not None
    assert (books.status, books.rows_inserted, books.rows_updated, books.rows_rejected) == ("loaded", 2, 1, 3)
    assert connection.execute("select count(*) from rejected_rows").fetchone() == (3,)
    assert not list((settings.held / "demo").iterdir())
    assert len(list((settings.processed / "demo").iterdir())) == 2
    assert run_what_waits(database, connection, settings) == []


def test_a_discarded_upload_stays_without_contacts_and_may_come_again(
    held: UploadBooks, database: str, connection: Connection, settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["uploads", "discard", str(held.upload_id)])
    assert result.exit_code == 0, result.output
    assert find_upload(connection, held.upload_id).status == "discarded"
    assert connection.execute("select count(*) from contacts").fetchone() == (1,)
    assert not list((settings.held / "demo").iterdir())
    report = next((settings.refused / "demo").glob("*.json"))
    assert json.loads(report.read_text())["status"] == "discarded"
    upload_file(connection, settings, tenant, tmp_path / "half-bad.csv", options={}, now=datetime.now(UTC))
    [books] = run_what_waits(database, connection, settings)
    assert books is not None
    assert books.status == "held"


def test_the_same_bytes_as_a_held_upload_are_a_repeat(
    held: UploadBooks, database: str, connection: Connection, settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    upload_file(connection, settings, tenant, tmp_path / "half-bad.csv", options={}, now=datetime.now(UTC))
    [books] = run_what_waits(database, connection, settings)
    assert books is not None
    assert (books.status, books.repeat_of) == ("repeated", held.upload_id)


def test_only_a_held_upload_can_be_decided_about(load_file: LoadFile, settings: Settings, held: UploadBooks) -> None:
    loaded = load_file("Id\n1\n")
    for command in ("release", "discard"):
        result = CliRunner().invoke(app, ["uploads", command, str(loaded.upload_id)])
        assert isinstance(result.exception, EngageError)
        assert result.exception.code == "not-held"
    next((settings.held / "demo").glob("*.csv")).unlink()
    result = CliRunner().invoke(app, ["uploads", "release", str(held.upload_id)])
    assert isinstance(result.exception, EngageError)
    assert result.exception.code == "held-file-missing"


def test_a_held_upload_is_shown_with_what_can_be_done(held: UploadBooks, settings: Settings) -> None:
    shown = CliRunner().invoke(app, ["uploads", "show", str(held.upload_id)]).stdout
    assert f"engage uploads release {held.upload_id}" in shown
    assert "invalid_phone" in shown
    waited = CliRunner().invoke(app, ["uploads", "list"]).stdout
    assert "3 held" in " ".join(waited.split()) or "held 3" in " ".join(waited.split())


def test_an_upload_is_waited_for_and_its_books_are_shown(
    database: str, connection: Connection, tenant: Tenant, settings: Settings, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "leads.txt"
    file.write_bytes("Id#Name\n1#Zoë\n".encode("utf-16-le"))

    def run_the_pipeline(_: float) -> None:
        run_what_waits(database, connection, settings)

    monkeypatch.setattr("engage_pipeline.cli.uploads.time.sleep", run_the_pipeline)
    arguments = ["upload", str(file), "--wait", "--encoding", "utf-16-le", "--delimiter", "#", "--format", "delimited"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "loaded" in result.stdout
    assert connection.execute("select custom_fields, first_name from contacts").fetchone() == ({}, "Zoë")
