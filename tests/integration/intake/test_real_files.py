"""Public sample exports, where they are at hand: real headers, real disorder."""

from pathlib import Path

from engage_pipeline.database.connections import Connection
from tests.integration.intake.conftest import LoadFile


def test_a_crm_export_gives_balanced_books(shared_folder: Path, load_file: LoadFile, connection: Connection) -> None:
    books = load_file(shared_folder / "data/leads/zoho_leads.csv")
    assert books.status == "loaded"
    assert books.rows_read == 3900
    assert books.rows_read == books.rows_inserted + books.rows_updated + books.rows_duplicate + books.rows_rejected
    assert books.rows_inserted == connection.execute("select count(*) from contacts").fetchone()[0]  # type: ignore[index]
    assert connection.execute("select distinct source_system from contacts").fetchall() == [("zoho",)]


def test_an_export_without_addresses_says_that_nobody_can_be_reached_and_keeps_the_wishes(
    shared_folder: Path, load_file: LoadFile, connection: Connection
) -> None:
    books = load_file(shared_folder / "data/leads/x_education_leads.csv")
    assert (books.rows_read, books.rows_inserted, books.rows_rejected) == (9240, 9240, 0)
    assert books.findings is not None
    assert books.findings.wishes == {"email": 734, "ai_call": 2}
    assert books.findings.unreachable_contacts == 9240
    assert connection.execute(
        "select channel, count(*) from contacts cross join unnest(suppressed_channels) as channel"
        " group by channel order by channel"
    ).fetchall() == [("ai_call", 2), ("email", 734)]
    reachable, google, kept = connection.execute(
        "select count(*) filter (where phone_e164 is not null or email is not null),"
        " count(distinct lead_source) filter (where lower(lead_source) = 'google'),"
        " count(*) filter (where custom_fields ? '' or custom_fields ? 'column_38')"
        " from contacts"
    ).fetchone()  # type: ignore[misc]
    assert (reachable, google, kept) == (0, 1, 0)


def test_a_list_without_an_identifying_column_is_refused_whole(
    shared_folder: Path, load_file: LoadFile, connection: Connection
) -> None:
    books = load_file(shared_folder / "data/leads/malformed_cr_only_line_ends.csv")
    assert (books.status, books.refusal_code, books.rows_read) == ("refused", "no_identifying_column", 0)
    assert "contact" in (books.refusal_reason or "")
    assert connection.execute("select count(*) from contacts").fetchone() == (0,)
    assert connection.execute("select count(*) from rejected_rows").fetchone() == (0,)
    assert connection.execute("select status, format->>'line_end' from lead_uploads").fetchall() == [("refused", "CR")]
