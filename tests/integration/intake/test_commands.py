"""The commands around lead files, against a real database."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engage_pipeline.cli.app import app
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.errors import EngageError
from engage_pipeline.settings import load_settings
from tests.integration.intake.conftest import LoadFile
from tests.unit.intake.lead_files import LEADS


@pytest.fixture
def engage(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "home"))
    load_settings.cache_clear()
    return CliRunner()


@pytest.fixture(autouse=True)
def _settings_of_this_test_only() -> None:
    load_settings.cache_clear()


def test_leads_are_generated_and_put_into_the_inbox(engage: CliRunner, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    assert engage.invoke(app, ["generate-leads", str(file), "--rows", "5", "--seed", "1"]).exit_code == 0
    result = engage.invoke(app, ["upload", str(file)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "home/inbox/demo/leads.csv").read_bytes() == file.read_bytes()
    assert "engage uploads show" in result.output


def test_a_dry_run_shows_format_columns_and_rejects_and_writes_nothing(
    engage: CliRunner, tenant: Tenant, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("Lead Id;Phone;Plan;\n1;Select;;\n2;212-555-0101;Team;\n3\n;12;;\n")
    result = engage.invoke(app, ["upload", str(file), "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["format"]["delimiter"], shown["source_system"], shown["rows_read"]) == (";", "file:leadid", 4)
    assert shown["columns"] == [
        {"header": "Lead Id", "meaning": "external_id", "sample": "1"},
        {"header": "Phone", "meaning": "phone", "sample": "212-555-0101"},
        {"header": "Plan", "meaning": "custom_fields.Plan", "sample": "Team"},
        {"header": "", "meaning": None, "sample": None},
    ]
    assert shown["rejected"] == [
        {"reason_code": "invalid_phone", "row_count": 1, "first_line_number": 5},
        {"reason_code": "wrong_field_count", "row_count": 1, "first_line_number": 4},
    ]
    drawn = engage.invoke(app, ["upload", str(file), "--dry-run"]).stdout
    assert "4 rows, of which 2 would be rejected" in drawn
    assert not (tmp_path / "home/inbox").exists()
    assert connection.execute("select count(*) from lead_uploads").fetchone() == (0,)


def test_a_dry_run_of_a_file_that_would_be_refused_says_why(engage: CliRunner, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("age,contact\n58,cellular\n")
    result = engage.invoke(app, ["upload", str(file), "--dry-run"])
    assert isinstance(result.exception, EngageError)
    assert result.exception.as_dict()["refusal_code"] == "no_identifying_column"


def test_a_file_for_nobody_is_not_taken(engage: CliRunner, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("Id\n1\n")
    result = engage.invoke(app, ["upload", str(file), "--tenant", "nobody"])
    assert isinstance(result.exception, EngageError)
    assert result.exception.code == "no-tenant"


def test_rejected_rows_come_out_to_be_mended_and_go_in_again(
    engage: CliRunner, load_file: LoadFile, connection: Connection, tmp_path: Path
) -> None:
    books = load_file('Id;Name;Note\n1;Ada;"two\nlines"\n2;"Bea ""B""; x"\n3;Cy;a;b\n')
    file = tmp_path / "mend.csv"
    result = engage.invoke(app, ["uploads", "rejects", str(books.upload_id), "-o", str(file)])
    assert result.exit_code == 0, result.output
    text = file.read_text()
    assert text == (
        "engage_line_number;engage_reason_code;engage_reason;Id;Name;Note\n"
        '4;wrong_field_count;the row has 2 fields and the header has 3;2;"Bea ""B""; x"\n'
        "5;wrong_field_count;the row has 4 fields and the header has 3;3;Cy;a;b\n"
    )
    assert load_file(text).rows_rejected == 2
    mended = load_file(text.replace('x"\n', 'x";new\n').replace("a;b", "ab"))
    assert (mended.rows_inserted, mended.rows_rejected) == (2, 0)
    assert connection.execute(
        "select external_id, source_system, custom_fields from contacts where external_id <> '1' order by 1"
    ).fetchall() == [("2", "file:id", {"Note": "new"}), ("3", "file:id", {"Note": "ab"})]


def test_an_upload_without_rejected_rows_says_so(engage: CliRunner, load_file: LoadFile, tmp_path: Path) -> None:
    books = load_file("Id\n1\n")
    file = tmp_path / "mend.csv"
    result = engage.invoke(app, ["uploads", "rejects", str(books.upload_id), "-o", str(file)])
    assert isinstance(result.exception, EngageError)
    assert (result.exception.code, file.exists()) == ("no-rejected-rows", False)


def test_the_books_are_shown(engage: CliRunner, load_file: LoadFile, connection: Connection) -> None:
    books = load_file("Id,Do Not Call\n1,yes\n2\n")
    [listed] = json.loads(engage.invoke(app, ["uploads", "list", "--json"]).stdout)
    assert (listed["upload_id"], listed["rows_rejected"]) == (str(books.upload_id), 1)
    assert "loaded" in engage.invoke(app, ["uploads", "list"]).stdout
    shown = json.loads(engage.invoke(app, ["uploads", "show", str(books.upload_id), "--json"]).stdout)
    assert shown["rejected"] == [{"reason_code": "wrong_field_count", "row_count": 1, "first_line_number": 3}]
    drawn = engage.invoke(app, ["uploads", "show", str(books.upload_id)]).stdout
    assert "wrong_field_count" in drawn
    assert "1 contacts said no to ai_call" in drawn
    assert "1 contacts have no phone" in drawn


def test_a_preset_and_a_saved_mapping_go_with_the_file(
    engage: CliRunner, tenant: Tenant, connection: Connection
) -> None:
    file, saved = LEADS / "our_crm.csv", LEADS / "our_crm.yaml"
    shown = json.loads(engage.invoke(app, ["upload", str(file), "--mapping", str(saved), "--dry-run", "--json"]).stdout)
    assert (shown["preset"], shown["source_system"]) == ("generic", "our-crm")
    assert engage.invoke(app, ["upload", str(LEADS / "zoho.csv"), "--dry-run"]).stdout.count("preset zoho") == 1
    assert engage.invoke(app, ["upload", str(file), "--preset", "hupspot"]).exit_code == 2
    result = engage.invoke(app, ["upload", str(file), "--preset", "zoho", "--mapping", str(saved)])
    assert result.exit_code == 0, result.output
    (options,) = connection.execute("select options from lead_uploads").fetchone() or ()
    assert (options["preset"], options["mapping"]["columns"]["Handy"]) == ("zoho", "phone")


def test_a_tenant_decides_about_its_uploads(engage: CliRunner, tenant: Tenant) -> None:
    result = engage.invoke(app, ["tenants", "set", "demo", "--reject-threshold", "0.5", "--leave-known"])
    assert result.exit_code == 0, result.output
    assert engage.invoke(app, ["tenants", "set", "demo"]).exit_code == 0
    [shown] = json.loads(engage.invoke(app, ["tenants", "list", "--json"]).stdout)
    assert (shown["name"], shown["reject_threshold"], shown["known_contacts"]) == ("demo", 0.5, "leave")
    assert "50%" in engage.invoke(app, ["tenants", "list"]).stdout
