"""Loading into a real PostgreSQL: identity, books, wishes, repeats, and nothing without the lease."""

import csv
import gzip
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.errors import LeaseLost
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.flows.store import apply_flows
from engage_pipeline.intake.load import load_upload
from engage_pipeline.intake.normalise import is_dnc_tag
from engage_pipeline.intake.uploads import UploadBooks, find_upload, reject_reasons
from engage_pipeline.settings import Settings
from tests.integration.intake.conftest import NOW, LoadFile, open_upload
from tests.integration.ledger_world import flow_of

HEADER = "Lead Id,First Name,Email,Phone,Lead Source,Tags,Do Not Call,Do Not Email,Score\n"
ADA = "1,Ada,ada@example.com,212-555-0101,Google,vip,No,No,5\n"


def counts(books: UploadBooks) -> tuple[int, int, int, int, int]:
    return (
        books.rows_read,
        books.rows_inserted,
        books.rows_updated,
        books.rows_duplicate,
        books.rows_rejected,
    )


def suppressed(connection: Connection) -> set[tuple[str, str]]:
    return set(connection.execute("select channel, address from suppressions").fetchall())


def test_a_row_becomes_a_contact_with_typed_custom_fields(load_file: LoadFile, connection: Connection) -> None:
    books = load_file(HEADER + ADA)
    assert counts(books) == (1, 1, 0, 0, 0)
    row = connection.execute(
        "select source_system, external_id, phone_e164, email, first_name, lead_source, entry_type, tags,"
        " custom_fields->'Score', upload_id, micro_batch_id, created_at from contacts"
    ).fetchone()
    assert row == (
        *("file:leadid", "1", "+12125550101", "ada@example.com", "Ada", "Google", "bulk_upload", ["vip"], 5),
        *(books.upload_id, None, NOW),
    )
    upload = find_upload(connection, books.upload_id)
    assert (upload.status, upload.rows_inserted, upload.finished_at) == ("loaded", 1, NOW)


def test_known_contacts_are_offered_to_matching_again_where_a_flow_takes_them(
    load_file: LoadFile, connection: Connection, tenant: Tenant
) -> None:
    load_file(HEADER + ADA + "2,Bea,bea@example.com,,,,,,\n3,Cy,cy@example.com,,,,,,\n")
    batch = connection.execute(
        "insert into micro_batches (kind, item_count) values ('new_contacts', 3) returning id"
    ).fetchone()
    assert batch is not None
    connection.execute("update contacts set micro_batch_id = %s", batch)
    again = HEADER + "1,Ada,ada@example.com,,,,,,\n2,Bea,bea@example.com,,Web,,,,\n"
    load_file(again)
    offered = "select external_id from contacts where micro_batch_id is null order by 1"
    assert connection.execute(offered).fetchall() == []
    apply_flows(connection, tenant, [flow_of("email", reentry_after_days=30)])
    assert load_file(again + "\n").rows_duplicate == 2
    assert connection.execute(offered).fetchall() == [("1",), ("2",)]


def test_rows_of_one_contact_merge_by_the_last_value_that_is_there(load_file: LoadFile, connection: Connection) -> None:
    rows = "1,,,,,,,,\n,Adele,ADA@example.com,,,late,,,6\n,,,+12125550101,N/A,,,,Select\n"
    assert counts(load_file(HEADER + ADA + rows)) == (4, 1, 0, 3, 0)
    assert connection.execute(
        "select first_name, lead_source, tags, custom_fields->'Score' from contacts"
    ).fetchall() == [("Adele", "Google", ["vip", "late"], 6)]


def test_two_ids_on_one_phone_are_two_contacts(load_file: LoadFile, connection: Connection) -> None:
    rows = "2,Bea,,212-555-0101,,,,,\n"
    assert counts(load_file(HEADER + ADA + rows)) == (2, 2, 0, 0, 0)
    assert counts(load_file(HEADER + rows + ADA)) == (2, 0, 0, 2, 0)


def test_a_known_contact_takes_the_new_id_of_one_row_only(load_file: LoadFile, connection: Connection) -> None:
    load_file("Phone\n212-555-0101\n")
    assert counts(load_file(HEADER + ADA + "2,Bea,,212-555-0101,,,,,\n")) == (2, 1, 1, 0, 0)


def test_keys_of_different_people_are_counted_and_move_nothing(load_file: LoadFile, connection: Connection) -> None:
    load_file("Phone,Name\n212-555-0101,Ada\n")
    load_file("Email,Name\nbea@example.com,Bea\n")
    books = load_file("Phone,Email,Name,City\n212-555-0101,bea@example.com,Ada,Denver\n")
    assert counts(books) == (1, 0, 1, 0, 0)
    assert books.findings is not None
    assert books.findings.identity_conflicts == 1
    assert connection.execute(
        "select first_name, phone_e164, email, custom_fields from contacts order by id"
    ).fetchall() == [
        ("Ada", "+12125550101", None, {"City": "Denver", "Email": "bea@example.com"}),
        ("Bea", None, "bea@example.com", {}),
    ]


def test_a_wish_holds_for_the_address_that_was_not_moved(load_file: LoadFile, connection: Connection) -> None:
    load_file("Phone\n212-555-0101\n")
    load_file("Email\nbea@example.com\n")
    load_file("Phone,Email,Do Not Email\n212-555-0101,bea@example.com,yes\n")
    assert suppressed(connection) == {("email", "bea@example.com")}


def test_a_key_that_a_contact_had_before_the_file_finds_nobody(load_file: LoadFile, connection: Connection) -> None:
    # The known limit: without an id, one whose phone and then e-mail change in one file is made again by its first row.
    rows = "212-555-0101,old@example.com\n212-555-0102,old@example.com\n212-555-0102,new@example.com\n"
    assert counts(load_file("Phone,Email\n" + rows)) == (3, 1, 0, 2, 0)
    again = load_file("Phone;Email\n" + rows.replace(",", ";"))
    assert counts(again) == (3, 1, 1, 1, 0)
    assert again.findings is not None
    assert again.findings.identity_conflicts == 1


def test_an_update_takes_nothing_away_and_does_not_make_the_contact_new(
    load_file: LoadFile, connection: Connection
) -> None:
    load_file(HEADER + "1,Ada,ada@example.com,212-555-0101,Google,DNC,,,5\n")
    batch = connection.execute(
        "insert into micro_batches (kind, item_count) values ('new_contacts', 1) returning id"
    ).fetchone()
    connection.execute("update contacts set micro_batch_id = %s", batch)
    assert counts(load_file(HEADER + "1,,,,Referral,vip,,,\n")) == (1, 0, 1, 0, 0)
    kept = connection.execute(
        "select first_name, email, phone_e164, lead_source, tags, is_dnc, custom_fields->'Score', micro_batch_id"
        " from contacts"
    ).fetchone()
    assert batch is not None
    assert kept == ("Ada", "ada@example.com", "+12125550101", "Referral", ["DNC", "vip"], True, 5, batch[0])


def test_the_same_people_in_other_bytes_are_duplicates(load_file: LoadFile, connection: Connection) -> None:
    load_file(HEADER + ADA)
    assert counts(load_file((HEADER + ADA).replace("\n", "\r\n"))) == (1, 0, 0, 1, 0)
    assert connection.execute("select count(*) from contacts").fetchone() == (1,)


def test_the_same_bytes_are_read_once(load_file: LoadFile, connection: Connection) -> None:
    first, second = load_file(HEADER + ADA), load_file(HEADER + ADA)
    assert (second.status, second.repeat_of, counts(second)) == ("repeated", first.upload_id, (0, 0, 0, 0, 0))
    assert find_upload(connection, second.upload_id).repeat_of == first.upload_id


def test_a_packed_file_is_read_like_a_plain_one(load_file: LoadFile, connection: Connection) -> None:
    books = load_file(gzip.compress((HEADER + ADA).encode()))
    assert counts(books) == (1, 1, 0, 0, 0)
    assert connection.execute("select format->>'packing' from lead_uploads").fetchall() == [("gzip",)]


def test_a_refused_file_may_come_again_and_leaves_nothing_behind(load_file: LoadFile, connection: Connection) -> None:
    for _ in range(2):
        books = load_file("age,contact\n58,cellular\n")
        assert (books.status, books.refusal_code) == ("refused", "no_identifying_column")
    assert connection.execute("select count(*) from contacts").fetchone() == (0,)
    assert find_upload(connection, books.upload_id).refusal_reason == books.refusal_reason


def test_a_file_that_is_gone_is_refused(load_file: LoadFile, tmp_path: Path) -> None:
    assert load_file(tmp_path / "gone.csv").refusal_code == "file_missing"


def test_wishes_suppress_their_own_channel_and_stay(load_file: LoadFile, connection: Connection) -> None:
    load_file(HEADER + "1,Ada,ada@example.com,212-555-0101,,,Yes,,\n2,Bea,bea@example.com,,,,,1,\n3,Cy,,,,,yes,yes,\n")
    books = load_file(HEADER + "1,Ada,ada@example.com,212-555-0101,,,No,No,\n2,,,,,,,yes,\n3,,,,,,yes,yes,\n")
    wishes = connection.execute("select channel, address, source from suppressions order by 1").fetchall()
    assert wishes == [
        ("ai_call", "+12125550101", "column Do Not Call"),
        ("email", "bea@example.com", "column Do Not Email"),
    ]
    assert books.findings is not None
    assert (books.findings.wishes, books.findings.unreachable_contacts) == ({"ai_call": 2, "email": 2}, 1)


def test_a_wish_without_an_address_waits_for_the_address(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Do Not Call,Do Not Email\n7,yes,no\n8,no,yes\n")
    assert connection.execute("select count(*) from suppressions").fetchone() == (0,)
    load_file("Lead Id,Phone,Email\n7,212-555-0107,cy@example.com\n8,,dee@example.com\n")
    assert suppressed(connection) == {("ai_call", "+12125550107"), ("email", "dee@example.com")}


def test_a_contact_that_said_no_takes_its_wish_to_a_new_number(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Phone,Do Not Call\n7,212-555-0107,yes\n")
    load_file("Lead Id,Phone,Do Not Call\n7,212-555-0108,no\n")
    assert suppressed(connection) == {("ai_call", "+12125550107"), ("ai_call", "+12125550108")}


def test_a_wish_holds_for_the_number_that_the_same_file_replaces(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Phone\n7,212-555-0107\n")
    load_file("Lead Id,Phone,Do Not Call\n7,212-555-0108,yes\n")
    assert suppressed(connection) == {("ai_call", "+12125550107"), ("ai_call", "+12125550108")}


def test_a_wish_holds_for_every_number_of_its_row(load_file: LoadFile, connection: Connection) -> None:
    load_file("leadid,mobile,phone,dncmobile\n7,212-555-0107,212-555-0108,1\n")
    assert suppressed(connection) == {("ai_call", "+12125550107"), ("ai_call", "+12125550108")}


@pytest.mark.parametrize("tag", ["DNC", "vip; Do Not Contact", "do-not-contact"])
def test_a_dnc_tag_suppresses_every_channel_for_every_contact_with_the_address(
    tag: str, load_file: LoadFile, connection: Connection
) -> None:
    load_file(f"Lead Id,Phone,Email,Tags\n7,212-555-0107,cy@example.com,{tag}\n8,212-555-0107,,\n")
    assert suppressed(connection) == {
        ("ai_call", "+12125550107"),
        ("whatsapp_message", "+12125550107"),
        ("email", "cy@example.com"),
    }
    assert connection.execute("select count(*) from contacts where is_dnc").fetchone() == (1,)


def test_an_address_that_comes_some_other_way_is_suppressed_too(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Do Not Email\n7,yes\n")
    connection.execute("update contacts set email = 'cy@example.com', phone_e164 = '+12125550107'")
    assert suppressed(connection) == {("email", "cy@example.com")}


@pytest.mark.parametrize("tag", ["dnc", "DNC", " Do Not Contact ", "do-not-contact", "\tdnc", "do not call", "dncx"])
def test_code_and_database_agree_on_what_a_dnc_tag_is(tag: str, connection: Connection) -> None:
    assert connection.execute("select engage_has_dnc_tag(array[%s])", [tag]).fetchone() == (is_dnc_tag(tag),)


def test_rejected_rows_keep_their_line_and_their_text(load_file: LoadFile, connection: Connection) -> None:
    books = load_file('Id,Phone,Note\n1,,"two\nlines"\n2,short\n,12345,\n,,\n3,,a\x00b\n')
    assert counts(books) == (5, 1, 0, 0, 4)
    rejected = connection.execute(
        "select line_number, reason_code, raw_row from rejected_rows order by line_number"
    ).fetchall()
    assert rejected == [
        (4, "wrong_field_count", ["2", "short"]),
        (5, "invalid_phone", ["", "12345", ""]),
        (6, "no_identity", ["", "", ""]),
        (7, "unstorable_text", ["3", "", "a\ufffdb"]),
    ]
    assert {reason.row_count for reason in reject_reasons(connection, books.upload_id)} == {1}


def test_a_lost_lease_writes_nothing(database: str, connection: Connection, tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text(HEADER + ADA + "short\n")
    lease = open_upload(connection, tenant)
    connection.execute("update lead_uploads set lease_token = lease_token + 1")
    with pytest.raises(LeaseLost):
        load_upload(database, lease, path=path, tenant=tenant, settings=Settings(), now=NOW)
    for table in ("contacts", "rejected_rows", "suppressions"):
        assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)
    assert find_upload(connection, lease.work_id).status == "running"


def test_two_uploads_at_once_make_each_contact_once(
    database: str, connection: Connection, tenant: Tenant, tmp_path: Path
) -> None:
    rows = [f"{number},P{number},p{number}@example.com,,,,,,\n" for number in range(500)]
    uploads = []
    for name, lines in (("forward", rows), ("backward", rows[::-1]), ("again", rows)):
        path = tmp_path / f"{name}.csv"
        path.write_text(HEADER + "".join(lines))
        uploads.append((path, open_upload(connection, tenant)))
    with ThreadPoolExecutor(3) as pool:
        books = list(
            pool.map(
                lambda each: load_upload(database, each[1], path=each[0], tenant=tenant, settings=Settings(), now=NOW),
                uploads,
            )
        )
    assert connection.execute("select count(*) from contacts").fetchone() == (500,)
    assert sum(each.rows_inserted for each in books) == 500
    assert sorted(each.status for each in books) == ["loaded", "loaded", "repeated"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.sampled_from(["", "1", "2", "x"])
PHONES = st.sampled_from(["", "212-555-0101", "212-555-0102", "12"])
EMAILS = st.sampled_from(["", "ada@example.com", "BEA@example.com", "@"])
ROWS = st.lists(
    st.one_of(st.tuples(KEYS, PHONES, EMAILS, TEXTS, TEXTS), st.lists(TEXTS, min_size=1, max_size=7).map(tuple)),
    max_size=12,
)


@given(rows=ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_books_balance_for_any_table(
    rows: list[tuple[str, ...]], load_file: LoadFile, connection: Connection
) -> None:
    connection.execute("truncate contacts, lead_uploads, rejected_rows, suppressions cascade")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["Id", "Phone", "Email", "Tags", "Note"])
    writer.writerows(rows)
    books = load_file(text.getvalue())
    assert books.status == "loaded"
    assert books.rows_read == len(rows) == sum(counts(books)[1:])
    assert connection.execute("select count(*) from contacts").fetchone() == (books.rows_inserted,)
    assert connection.execute("select count(*) from rejected_rows").fetchone() == (books.rows_rejected,)


@given(texts=st.lists(TEXTS.filter(lambda text: "\x00" not in text), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_the_way_into_a_custom_field(
    texts: list[str], load_file: LoadFile, connection: Connection
) -> None:
    connection.execute("truncate contacts, lead_uploads, rejected_rows cascade")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["Id", "Note"])
    writer.writerows((str(number), f"«{value}»") for number, value in enumerate(texts))
    load_file(text.getvalue())
    stored = connection.execute("select custom_fields->>'Note' from contacts order by external_id::int").fetchall()
    assert [value for (value,) in stored] == [f"«{value}»" for value in texts]


def test_values_of_json_that_cannot_be_stored_do_no_harm(load_file: LoadFile, connection: Connection) -> None:
    lines = [
        '{"Id": 1, "a": {"x": "\\u0000"}}',
        '{"Id": 2, "a": "\\u0000"}',
        '{"Id": 3, "a": "\\ud800"}',
        '{"Id": 4, "a": [NaN, {"b": Infinity}]}',
        '{"Id": 5, "a": NaN}',
        '{"Id": 6, "a": [1.5, null, "\\u00e9"]}',
    ]
    books = load_file("\n".join(lines))
    assert (books.rows_inserted, books.rows_rejected) == (3, 3)
    assert {reason.reason_code for reason in reject_reasons(connection, books.upload_id)} == {"unstorable_text"}
    fields = connection.execute("select external_id, custom_fields from contacts order by external_id").fetchall()
    assert fields == [("4", {"a": "[nan, {'b': inf}]"}), ("5", {}), ("6", {"a": [1.5, None, "é"]})]
    assert load_file('[{"Id": 7, "a": 1e400000}, {"Id": 8, "a": 1.50}]').rows_inserted == 2


def test_contacts_of_another_tenant_are_not_touched(
    load_file: LoadFile, database: str, connection: Connection, tenant: Tenant
) -> None:
    load_file(HEADER + ADA)
    with connect(database) as other:
        other.execute("insert into users (name) values ('northwind')")
        other.execute("update contacts set user_id = (select id from users where name = 'northwind')")
        other.execute("update lead_uploads set file_sha256 = null")
    assert counts(load_file(HEADER + ADA)) == (1, 1, 0, 0, 0)


def test_a_contact_is_in_the_time_zones_of_its_number_else_of_its_country(
    load_file: LoadFile, connection: Connection
) -> None:
    load_file("Id,Phone,Country\n1,202-555-0171,India\n2,,India\n3,,\n")
    load_file("Id,Phone,Country\n2,213-555-0171,\n3,,Nowhere\n1,,\n")
    rows = connection.execute("select external_id, time_zones from contacts order by 1").fetchall()
    assert rows == [("1", ["America/New_York"]), ("2", ["America/Los_Angeles"]), ("3", [])]
