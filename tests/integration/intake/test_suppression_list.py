"""`engage suppress`: every address of a list is kept, or its line is named."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engage_pipeline.cli.app import app
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.suppression_list import SuppressionReport, suppress_list
from engage_pipeline.settings import load_settings
from tests.integration.intake.conftest import NOW, LoadFile


@pytest.fixture
def listed(connection: Connection, tenant: Tenant, tmp_path: Path):
    def suppress(text: str, *channels: str) -> SuppressionReport:
        file = tmp_path / "list.csv"
        file.write_text(text, encoding="utf-8", newline="")
        return suppress_list(connection, file, channels=channels, tenant=tenant, now=NOW)

    return suppress


def kept(connection: Connection) -> list[tuple[str, str, str]]:
    return connection.execute("select channel, address, source from suppressions order by channel, address").fetchall()


def test_every_address_is_kept_for_every_channel_it_belongs_to(listed, connection: Connection) -> None:
    report = listed(
        "Mobile;Office Phone;Email\n212-555-0101;(212) 555-0102;Ada@example.com\n",
        "ai_call", "whatsapp_message", "email",
    )  # fmt: skip
    assert (report.rows_read, report.address_count, report.added_count, report.rejected) == (1, 5, 5, [])
    assert kept(connection) == [
        ("ai_call", "+12125550101", "list list.csv"),
        ("ai_call", "+12125550102", "list list.csv"),
        ("email", "ada@example.com", "list list.csv"),
        ("whatsapp_message", "+12125550101", "list list.csv"),
        ("whatsapp_message", "+12125550102", "list list.csv"),
    ]


def test_what_cannot_be_kept_is_named_by_line_and_the_rest_is_kept(listed, connection: Connection) -> None:
    report = listed("Phone,Mobile,Note\n12345,212-555-0101,\n,Select,\n212-555-0102\n", "ai_call")
    assert [(row.line_number, row.reason_code) for row in report.rejected] == [
        (2, "invalid_phone"),
        (3, "no_address"),
        (4, "wrong_field_count"),
    ]
    assert [address for _, address, _ in kept(connection)] == ["+12125550101"]


def test_the_same_list_again_adds_nothing(listed) -> None:
    listed("Email\nada@example.com\n", "email")
    report = listed("Email\nADA@example.com\nada@example.com\n", "email")
    assert (report.address_count, report.added_count) == (1, 0)


def test_a_list_without_a_column_for_the_channel_is_refused_whole(listed, connection: Connection) -> None:
    with pytest.raises(FileRefused) as refusal:
        listed("Email\nada@example.com\n", "email", "ai_call")
    assert refusal.value.refusal_code == "no_address_column"
    assert kept(connection) == []


def test_a_later_lead_file_does_not_lift_it(listed, load_file: LoadFile, connection: Connection) -> None:
    listed("Email\nada@example.com\n", "email")
    load_file("Lead Id,Email,Do Not Email\n1,ada@example.com,no\n")
    assert kept(connection) == [("email", "ada@example.com", "list list.csv")]


def test_the_command_exits_with_one_when_something_was_not_kept(
    database: str, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    load_settings.cache_clear()
    file = tmp_path / "list.csv"
    file.write_text("Email\nada@example.com\n")
    assert CliRunner().invoke(app, ["suppress", str(file), "--channel", "email"]).exit_code == 0
    file.write_text("Email\nbea@example.com\nnobody\n")
    result = CliRunner().invoke(app, ["suppress", str(file), "--channel", "email"])
    assert (result.exit_code, "line 3: invalid_email" in result.stdout, "nobody" in result.stdout) == (1, True, False)
    shown = CliRunner().invoke(app, ["suppress", str(file), "--channel", "email", "--json"])
    assert json.loads(shown.stdout)["rejected"][0]["line_number"] == 3
    load_settings.cache_clear()
