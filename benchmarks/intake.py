"""`make bench-intake`: one generated lead file into contacts, beside the least that it can cost and what people write.

Everything runs on an embedded PostgreSQL of its own with its default durability, one after another, in rounds that
begin with empty tables. A figure is the median of the rounds:

- engage: `load_upload`, from the file to contacts, quarantine, suppressions and books;
- floor: INSERT ... SELECT of the same contacts, already clean, into a table with the same columns, keys and indexes;
- row loop: pandas.read_csv, phonenumbers and email-validator row by row, DataFrame.to_sql into such a table. It gets
  the first fifth of the rows, which is in its favour: its indexes stay small;
- raw copy: COPY of the file's lines into a table with one text column;
- largest: engage once more, with a file of several times as many rows, for its peak memory.
"""

import argparse
import atexit
import contextlib
import itertools
import json
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_bytes
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import connect, sqlalchemy_url
from engage_pipeline.database.leases import acquire
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.intake.generator import HEADERS, write_generated_leads
from engage_pipeline.intake.load import load_upload
from engage_pipeline.settings import Settings

RESULTS = Path(__file__).parent / "results" / "intake.json"
DUPLICATES = 0.05
SAMPLE_SHARE = 5
CONTACT_COLUMNS = (
    "id, user_id, source_system, external_id, phone_e164, email, first_name, last_name, company, lead_source,"
    " entry_type, tags, custom_fields, suppressed_channels, upload_id, micro_batch_id, created_at, updated_at"
)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--largest-rows", type=int, default=5_000_000, help="0: none")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = arguments.rows
    home = Path(tempfile.mkdtemp(prefix="engage-bench-"))
    # First, so that it runs after the server's package, which leaves a lock file there at its own exit.
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    # As root the server runs as another user.
    home.chmod(0o755)
    file = home / "leads.csv"
    write_generated_leads(file, rows=rows, seed=1, duplicates=DUPLICATES)
    sample_rows = rows // SAMPLE_SHARE
    sample = home / "sample.csv"
    with file.open("rb") as lines, sample.open("wb") as first:
        first.writelines(itertools.islice(lines, sample_rows + 1))
    url = embedded.start(home / "server")
    try:
        migrate(url)
        results = {
            "rows": rows,
            "file_bytes": file.stat().st_size,
            "columns": len(HEADERS),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_average": os.getloadavg()[0],
        }
        rounds = [_round(url, file, sample) for _ in range(arguments.rounds)]
        for name in rounds[0]:
            results[name] = _median([each[name] for each in rounds])
        if arguments.largest_rows:
            _empty(url)
            results["largest"] = _largest(url, home, arguments.largest_rows)
    finally:
        embedded.stop(home / "server")
    for name in rounds[0]:
        given = sample_rows if name == "row_loop" else rows
        results[name] |= {"rows": given, "rows_per_second": round(given / results[name]["seconds"])}
    speed = {name: results[name]["rows_per_second"] for name in rounds[0]}
    results["engage_over_floor"] = round(speed["floor"] / speed["engage"], 2)
    results["row_loop_over_engage"] = round(speed["engage"] / speed["row_loop"], 2)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def _round(url: str, file: Path, sample: Path) -> dict[str, dict[str, Any]]:
    """Each of the four, on empty tables; the floor takes the contacts that engage has just loaded."""
    _empty(url)
    return {
        "raw_copy": _raw_copy(url, file),
        "engage": _in_a_process(_engage, url, file),
        "floor": _floor(url),
        "row_loop": _in_a_process(_row_loop, url, sample),
    }


def _empty(url: str) -> None:
    with connect(url) as connection:
        connection.execute("drop table if exists raw_lines, clean, floor_contacts, row_loop_contacts")
        connection.execute("truncate lead_uploads, contacts, suppressions, deleted_rows cascade")
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")


def _median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round whose seconds are in the middle, with the seconds of all and the highest peak."""
    middle = sorted(rounds, key=lambda each: each["seconds"])[len(rounds) // 2]
    peaks = {"peak_mib": max(each["peak_mib"] for each in rounds)} if "peak_mib" in middle else {}
    return {**middle, **peaks, "all_seconds": [each["seconds"] for each in rounds]}


def _largest(url: str, home: Path, rows: int) -> dict[str, Any]:
    """A larger file for another tenant, so that none of its rows is known."""
    file = home / "largest.csv"
    write_generated_leads(file, rows=rows, seed=2, duplicates=DUPLICATES)
    measured = _in_a_process(_engage_largest, url, file)
    return {"rows": rows, **measured, "rows_per_second": round(rows / measured["seconds"])}


def _engage_largest(url: str, file: Path) -> dict[str, Any]:
    return _engage(url, file, tenant_name="largest")


def _in_a_process(measured: Callable[[str, Path], dict[str, Any]], url: str, file: Path) -> dict[str, Any]:
    """The measurement with the peak memory of a process that did nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_peak_memory, (measured, url, file))


def _with_peak_memory(measured: Callable[[str, Path], dict[str, Any]], url: str, file: Path) -> dict[str, Any]:
    result = measured(url, file)
    return {**result, "peak_mib": round(peak_bytes() / 2**20)}


def _raw_copy(url: str, file: Path) -> dict[str, Any]:
    with connect(url) as connection:
        # Lines, not fields: some rows have a field too few, and COPY takes no ragged ones.
        connection.execute("create table raw_lines (line text)")
        begun = time.perf_counter()
        with (
            file.open("rb") as lines,
            connection.cursor() as cursor,
            cursor.copy("copy raw_lines from stdin (format csv, delimiter e'\\x01', quote e'\\x02')") as copy,
        ):
            while block := lines.read(1 << 20):
                copy.write(block)
        return {"seconds": round(time.perf_counter() - begun, 2)}


def _engage(url: str, file: Path, *, tenant_name: str = "demo") -> dict[str, Any]:
    with connect(url) as connection:
        tenant = ensure_tenant(connection, tenant_name)
        row = connection.execute(
            "insert into lead_uploads (user_id, file_name, inbox_path) values (%s, 'leads.csv', 'demo/leads.csv')"
            " returning id",
            [tenant.user_id],
        ).fetchone()
        assert row is not None
        lease = acquire(connection, "lead_uploads", row[0], attempt=1, lease_seconds=3600)
    assert lease is not None
    begun = time.perf_counter()
    books = load_upload(url, lease, path=file, tenant=tenant, settings=Settings(), now=datetime.now(UTC))
    seconds = round(time.perf_counter() - begun, 2)
    hidden = ("upload_id", "findings")
    return {"seconds": seconds, **{name: value for name, value in books.as_metadata().items() if name not in hidden}}


def _floor(url: str) -> dict[str, Any]:
    with connect(url) as connection:
        _contacts_like_ours(url, "floor_contacts")
        connection.execute(f"create table clean as select {CONTACT_COLUMNS} from contacts")
        connection.execute("checkpoint")
        begun = time.perf_counter()
        connection.execute(f"insert into floor_contacts ({CONTACT_COLUMNS}) select {CONTACT_COLUMNS} from clean")
        return {"seconds": round(time.perf_counter() - begun, 2)}


def _contacts_like_ours(url: str, table: str) -> None:
    with connect(url) as connection:
        connection.execute(f"create table {table} (like contacts including all)")
        for column, other in (("user_id", "users"), ("upload_id", "lead_uploads"), ("micro_batch_id", "micro_batches")):
            connection.execute(f"alter table {table} add foreign key ({column}) references {other} (id)")


def _row_loop(url: str, file: Path) -> dict[str, Any]:
    import pandas as pd
    import phonenumbers
    from email_validator import EmailNotValidError, validate_email
    from sqlalchemy import Uuid, create_engine
    from sqlalchemy.dialects.postgresql import JSONB

    _contacts_like_ours(url, "row_loop_contacts")
    with connect(url) as connection:
        tenant = ensure_tenant(connection, "demo")
    begun = time.perf_counter()
    # Rows with a field too many make pandas take the first column for an index, and warn, unless it is told not to.
    with warnings.catch_warnings(action="ignore", category=pd.errors.ParserWarning):
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, on_bad_lines="skip", index_col=False)
    kept: dict[str, dict[str, Any]] = {}
    # Not iterrows, which is five times as slow on the strings of pandas 3.
    for lead in frame.to_dict("records"):
        phone = email = None
        with contextlib.suppress(phonenumbers.NumberParseException):
            number = phonenumbers.parse(lead["Phone"], "US")
            if phonenumbers.is_valid_number(number):
                phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        with contextlib.suppress(EmailNotValidError):
            email = validate_email(lead["Email"], check_deliverability=False).normalized
        if not (lead["Lead Id"] or phone or email):
            continue
        kept[lead["Lead Id"] or phone or email or ""] = {
            "user_id": tenant.user_id,
            "source_system": "crm",
            "external_id": lead["Lead Id"] or None,
            "phone_e164": phone,
            "email": email,
            "first_name": lead["First Name"],
            "last_name": lead["Last Name"],
            "company": lead["Company"],
            "lead_source": lead["Lead Source"],
            "entry_type": "bulk_upload",
            "custom_fields": {name: lead[name] for name in ("City", "Budget", "Score", "Plan", "Created Time")},
        }
    engine = create_engine(sqlalchemy_url(url))
    types = {"custom_fields": JSONB, "user_id": Uuid}
    contacts = pd.DataFrame(list(kept.values()))
    contacts.to_sql("row_loop_contacts", engine, if_exists="append", index=False, chunksize=10_000, dtype=types)
    return {"seconds": round(time.perf_counter() - begun, 2), "contacts": len(kept)}


if __name__ == "__main__":
    main()
