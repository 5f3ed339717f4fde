"""Forgetting a person: nothing of them is left anywhere, and they stay suppressed."""

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from typer.testing import CliRunner

from engage_pipeline.cli.app import app
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.intake.errors import SuppressionKeyMissing
from engage_pipeline.intake.load import load_upload
from engage_pipeline.intake.rejects import write_rejects
from engage_pipeline.intake.uploads import UploadBooks, find_upload
from engage_pipeline.matching.explain import NoContact
from engage_pipeline.privacy.contacts import find_contacts, show_contact
from engage_pipeline.privacy.errors import ContactBusy, FileInTheWay
from engage_pipeline.privacy.forget import ForgetReport, forget_contact
from engage_pipeline.settings import Settings
from tests.integration.intake.conftest import open_upload
from tests.integration.ledger_world import World, flow_of

PHONE, EMAIL = "+12025550171", "asha@example.com"
NEEDLES = ("2025550171", "asha", "Asha", "crm-7")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPTED_OUT = ["ai_call", "email", "whatsapp_message"]


@dataclass
class House:
    """A tenant with a data directory of its own."""

    database: str
    connection: Connection
    tenant: Tenant
    settings: Settings

    def load(self, text: str, *, hours: int = 0) -> UploadBooks:
        """Load a file, so many hours after the first."""
        file = self.settings.home / "upload.csv"
        file.write_text(text)
        lease = open_upload(self.connection, self.tenant)
        now = NOW + timedelta(hours=hours)
        books = load_upload(self.database, lease, path=file, tenant=self.tenant, settings=self.settings, now=now)
        file.unlink()
        return books

    def contact_of(self, email: str = EMAIL) -> UUID:
        row = self.connection.execute("select id from contacts where email = %s", [email]).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def forget(self, contact_id: UUID) -> ForgetReport:
        return forget_contact(self.connection, self.settings, contact_id, now=utc_now())

    def place(self, shelf: str, name: str, content: str | bytes) -> Path:
        file = self.settings.home / shelf / self.tenant.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def suppressed(self, email: str) -> list[str]:
        """The channels on which the contact with this e-mail address may not be reached."""
        rows = self.connection.execute(
            "select distinct suppressions.channel from contacts inner join suppressions"
            " on contacts.user_id = suppressions.user_id and address in (phone_e164, email)"
            " where email = %s order by 1",
            [email],
        ).fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def house(database: str, connection: Connection, tmp_path: Path) -> House:
    tenant = ensure_tenant(connection, "acme")
    connection.execute("update users set reject_threshold = 1")
    return House(database, connection, tenant, Settings(home=tmp_path))


def all_texts(connection: Connection) -> str:
    """Every row of every table, as one text."""
    tables = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
    ).fetchall()
    rows: list[Any] = []
    for (table,) in tables:
        rows += connection.execute(sql.SQL("select to_jsonb(t)::text from {} as t").format(sql.Identifier(table)))
    return "\n".join(str(row[0]) for row in rows)


def assert_nothing_left(house: House) -> None:
    said = all_texts(house.connection)
    said += "".join(file.read_bytes().decode("latin-1") for file in house.settings.home.rglob("*") if file.is_file())
    assert [needle for needle in NEEDLES if needle in said] == []


LEADS = f"""Lead Id,First Name,Phone,Email,Note
crm-7,Asha,(202) 555-0171,{EMAIL},"likes
pipes"
crm-8,Ben,(202) 555-0172,ben@example.com,
"""


def test_nothing_is_left_in_the_database_or_in_files(house: House) -> None:
    house.load(LEADS + "crm-9,only,eight\n,Asha,1202555017,,twice: 202.555.0171\n")
    processed = house.place("processed", "leads.csv", LEADS)
    inbox = house.place("inbox", "next.csv", LEADS.replace("\n", "\r\n"))
    utf16 = house.place("refused", "wide.tsv", LEADS.replace(",", "\t").encode("utf-16"))
    packed = house.place("processed", "leads.csv.gz", gzip.compress(LEADS.encode()))
    other = house.place("processed", "other.csv.gz", gzip.compress(b"Email\nben@example.com\n"))
    report = house.forget(house.contact_of())
    assert_nothing_left(house)
    assert (report.row_count, report.file_count, report.rejected_row_count) == (3, 1, 1)
    (upload_id,) = house.connection.execute("select id from lead_uploads").fetchone() or ()
    out = house.settings.home / "rejects.csv"
    assert write_rejects(house.connection, find_upload(house.connection, upload_id), out) == 1
    assert processed.read_text() == LEADS.splitlines()[0] + "\n" + LEADS.splitlines()[3] + "\n"
    assert inbox.read_bytes().count(b"\r\n") == 2
    assert "ben@example.com" in utf16.read_bytes().decode("utf-16")
    assert other.exists() and not packed.exists()
    assert house.contact_of("ben@example.com")


def test_the_person_uploaded_again_is_suppressed_on_every_channel(house: House) -> None:
    house.load(LEADS)
    house.forget(house.contact_of())
    house.load(
        f"Phone,Email\n202-555-0171,new.address@example.com\n,{EMAIL}\n202-555-0180,carol@example.com\n", hours=1
    )
    assert house.suppressed("new.address@example.com") == OPTED_OUT
    assert house.suppressed(EMAIL) == ["email"]
    assert house.suppressed("carol@example.com") == []
    house.load("Lead Id,Phone,Email\ncrm-7,202-555-0190,dora@example.com\n", hours=2)
    assert house.suppressed("dora@example.com") == OPTED_OUT


def test_another_contact_with_the_same_number_stays_and_is_suppressed(house: House) -> None:
    house.load(f"Lead Id,Phone,Email\ncrm-7,{PHONE},{EMAIL}\ncrm-8,{PHONE},ben@example.com\n")
    house.forget(house.contact_of())
    assert house.suppressed("ben@example.com") == OPTED_OUT
    assert "asha" not in all_texts(house.connection)


def test_forgetting_again_changes_nothing(house: House) -> None:
    house.load(LEADS)
    contact_id = house.contact_of()
    house.forget(contact_id)
    hashes = house.connection.execute("select count(*) from suppressions").fetchone()
    report = house.forget(contact_id)
    assert (report.row_count, report.file_count, report.rejected_row_count, report.cancelled_count) == (0, 0, 0, 0)
    assert house.connection.execute("select count(*) from suppressions").fetchone() == hashes == (9,)
    with pytest.raises(NoContact):
        house.forget(UUID(int=7))


def test_a_waiting_file_that_cannot_be_rewritten_stands_in_the_way(house: House) -> None:
    house.load(LEADS)
    house.place("inbox", "more.json", json.dumps([{"phone": "202-555-0171"}, {"phone": "202-555-0172"}]))
    processed = house.place("processed", "leads.csv", LEADS)
    with pytest.raises(FileInTheWay, match=r"inbox/acme/more\.json"):
        house.forget(house.contact_of())
    assert processed.read_text() == LEADS


def test_without_the_key_nobody_is_loaded_who_may_have_been_forgotten(house: House) -> None:
    house.load(LEADS)
    house.forget(house.contact_of())
    house.settings.suppression_key.unlink()
    with pytest.raises(SuppressionKeyMissing):
        house.load("Email\ncarol@example.com\n", hours=1)
    other = ensure_tenant(house.connection, "other")
    assert House(house.database, house.connection, other, house.settings).load("Email\ncarol@example.com\n")


async def test_the_ledger_keeps_its_facts_without_the_person(world: World, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    world.apply(flow_of("email", "wait", "ai_call"))
    contact_id = world.contact(phone_e164=PHONE, email=EMAIL, first_name="Asha", external_id="crm-7", source_system="x")
    other = world.contact()
    await world.settle()
    await world.settle()
    before = {log.id: (log.action_type, log.provider_message_id) for log in world.logs(contact_id)}
    world.connection.execute(
        "update flow_action_logs as logs set result_data = %s, error_message = 'Asha was out'"
        " from flow_executions as executions where logs.execution_id = executions.id"
        " and logs.action_type = 'email' and executions.contact_id = %s",
        [json.dumps({"code": "x", "transcript": "Hello Asha"}), contact_id],
    )
    report = forget_contact(world.connection, settings, contact_id, now=utc_now())
    assert (report.cancelled_count, report.log_count) == (1, len(before))
    assert {log.id: (log.action_type, log.provider_message_id) for log in world.logs(contact_id)} == before
    sent, waiting = world.logs(contact_id)
    assert (sent.request, sent.result_data, sent.error_message) == (None, {"code": "x"}, None)
    assert (waiting.status, waiting.skip_reason) == ("skipped", "forgotten")
    assert world.logs(other)[0].request is not None
    world.books()
    said = all_texts(world.connection)
    assert [needle for needle in NEEDLES if needle in said] == []


async def test_what_a_provider_tells_later_brings_nothing_back(world: World, tmp_path: Path) -> None:
    world.apply(flow_of("ai_call"))
    contact_id = world.contact(phone_e164=PHONE)
    await world.settle()
    forget_contact(world.connection, Settings(home=tmp_path), contact_id, now=utc_now())
    from engage_pipeline.channels.answers import ProviderOutcome
    from engage_pipeline.execution.outcomes import record_outcomes

    (log,) = world.logs(contact_id)
    outcome = ProviderOutcome("bolna", None, log.id, "answered", utc_now(), detail={"transcript": "Hello Asha"})
    record_outcomes(world.connection, [outcome], now=utc_now())
    (log,) = world.logs(contact_id)
    assert (log.outcome, log.result_data) == ("answered", {})


async def test_a_contact_cannot_be_forgotten_while_a_request_to_it_is_on_its_way(world: World, tmp_path: Path) -> None:
    world.apply(flow_of("email"))
    contact_id = world.contact(email=EMAIL)
    world.started()
    world.connection.execute(
        "update flow_action_logs set status = 'sending', due_at = now(), executed_at = now(), request = '{}'"
    )
    with pytest.raises(ContactBusy):
        forget_contact(world.connection, Settings(home=tmp_path), contact_id, now=utc_now())


def test_a_contact_is_found_by_what_the_person_is_known_by(house: House) -> None:
    house.load(LEADS)
    contact_id = house.contact_of()
    for text in ("202 555 0171", "Asha@example.com", "crm-7", "asha", str(contact_id)):
        assert [each["contact_id"] for each in find_contacts(house.connection, text, at_most=5)] == [contact_id]
    shown = show_contact(house.connection, contact_id)
    assert (shown["email"], shown["tenant_name"], shown["actions"]) == (EMAIL, "acme", [])


def test_the_commands(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from engage_pipeline.settings import load_settings

    monkeypatch.setenv("ENGAGE_DATABASE_URL", house.database)
    monkeypatch.setenv("ENGAGE_HOME", str(house.settings.home))
    load_settings.cache_clear()
    house.load(LEADS)
    contact_id = str(house.contact_of())
    run = CliRunner().invoke
    try:
        assert contact_id in run(app, ["contacts", "find", EMAIL]).output
        assert "Asha" in run(app, ["contacts", "show", contact_id]).output
        assert run(app, ["contacts", "forget", contact_id], input="n\n").exit_code == 1
        assert "is forgotten" in run(app, ["contacts", "forget", contact_id, "--yes"]).output
        assert run(app, ["contacts", "find", EMAIL]).output == "nobody\n"
        assert json.loads(run(app, ["contacts", "show", contact_id, "--json"]).output)["email"] is None
    finally:
        load_settings.cache_clear()
