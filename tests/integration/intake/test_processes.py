"""Uploads in processes of their own: several at once, and one that is killed wherever it happens to be."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import psycopg
import pytest

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease, acquire
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.load import load_upload
from engage_pipeline.intake.uploads import UploadBooks
from engage_pipeline.settings import Settings
from tests.integration.intake.conftest import NOW, open_upload

SPAWN = multiprocessing.get_context("spawn")
ROWS = 4_000
KILLS = 5


def load_in_a_process(url: str, lease: Lease, path: Path, tenant: Tenant, pipe: Pipe) -> None:
    pipe.send("begins")
    pipe.send(load_upload(url, lease, path=path, tenant=tenant, settings=Settings(), now=NOW))


def begin(url: str, lease: Lease, path: Path, tenant: Tenant) -> tuple[multiprocessing.process.BaseProcess, Pipe]:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=load_in_a_process, args=(url, lease, path, tenant, there))
    process.start()
    assert here.recv() == "begins"
    return process, here


def contacts_of(connection: Connection, tenant: Tenant) -> tuple[int, int]:
    """Contacts, and how many different ids they have."""
    row = connection.execute(
        "select count(*), count(distinct external_id) from contacts where user_id = %s", [tenant.user_id]
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_processes_that_upload_overlapping_files_make_each_contact_once(
    database: str, connection: Connection, tenant: Tenant, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.csv"
    write_generated_leads(whole, rows=ROWS, seed=5)
    header, *lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    parts = {"first": lines[: ROWS * 3 // 4], "backward": lines[ROWS // 4 :][::-1]}
    begun = []
    for name, part in parts.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(header + "".join(part), encoding="utf-8")
        begun.append(begin(database, open_upload(connection, tenant), path, tenant))
    books: list[UploadBooks] = [pipe.recv() for _, pipe in begun]
    for process, _ in begun:
        process.join()
        assert process.exitcode == 0
    for each in books:
        assert each.status == "loaded"
        assert each.rows_read == each.rows_inserted + each.rows_updated + each.rows_duplicate + each.rows_rejected
    contact_count, id_count = contacts_of(connection, tenant)
    assert contact_count == id_count == sum(each.rows_inserted for each in books)


@pytest.mark.parametrize(
    ("rows", "kills"), [(ROWS, KILLS), pytest.param(200_000, 10, marks=pytest.mark.soak)], ids=["short", "long"]
)
def test_an_upload_that_is_killed_anywhere_leaves_nothing_and_its_retry_one_copy(
    rows: int, kills: int, database: str, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "leads.csv"
    write_generated_leads(path, rows=rows, seed=6)
    undisturbed = ensure_tenant(connection, "undisturbed")
    process, pipe = begin(database, open_upload(connection, undisturbed), path, undisturbed)
    begun_at = time.perf_counter()
    pipe.recv()
    seconds = time.perf_counter() - begun_at
    process.join()
    expected = contacts_of(connection, undisturbed)
    rng = random.Random(7)
    for number in range(kills):
        tenant = ensure_tenant(connection, f"tenant-{number}")
        lease = open_upload(connection, tenant)
        process, _ = begin(database, lease, path, tenant)
        time.sleep(rng.random() * seconds)
        process.kill()
        process.join()
        wait_until_the_server_noticed(connection)
        status = connection.execute("select status from lead_uploads where id = %s", [lease.work_id]).fetchone()
        assert contacts_of(connection, tenant) == (expected if status == ("loaded",) else (0, 0))
        if status == ("running",):
            retry = next_attempt(connection, lease)
            assert (
                load_upload(database, retry, path=path, tenant=tenant, settings=Settings(), now=NOW).status == "loaded"
            )
        assert contacts_of(connection, tenant) == expected


def next_attempt(connection: Connection, lease: Lease) -> Lease:
    """What the sensor does with an upload whose run fell silent."""
    connection.execute("update lead_uploads set status = 'waiting', attempt = 2 where id = %s", [lease.work_id])
    retry = acquire(connection, "lead_uploads", lease.work_id, attempt=2, lease_seconds=60)
    assert retry is not None
    return retry


def wait_until_the_server_noticed(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + 30
    while connection.execute(
        "select 1 from pg_stat_activity where application_name = 'engage intake' and datname = current_database()"
    ).fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.02)
