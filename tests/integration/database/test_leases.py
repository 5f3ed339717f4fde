"""Leases: who may write, and when the work goes to another attempt."""

import threading
import time
from uuid import UUID

import psycopg
import pytest

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.errors import LeaseLost
from engage_pipeline.database.leases import Lease, acquire, kept_alive, renew, reopen_lapsed, requested


@pytest.fixture
def batch_id(connection: Connection) -> UUID:
    row = connection.execute(
        "insert into micro_batches (kind, item_count) values ('new_contacts', 1) returning id"
    ).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def _take(connection: Connection, batch_id: UUID, *, attempt: int = 1, lease_seconds: float = 30) -> Lease:
    lease = acquire(connection, "micro_batches", batch_id, attempt=attempt, lease_seconds=lease_seconds)
    assert lease is not None
    return lease


def _reopen(connection: Connection, *, start_timeout_seconds: float = 300, max_attempts: int = 5) -> int:
    return reopen_lapsed(
        connection, "micro_batches", start_timeout_seconds=start_timeout_seconds, max_attempts=max_attempts
    )


def _let_lapse(connection: Connection, batch_id: UUID) -> None:
    connection.execute(
        "update micro_batches set lease_expires_at = clock_timestamp() - interval '1 second' where id = %s", [batch_id]
    )


def _state(connection: Connection, batch_id: UUID) -> tuple[str, int, int]:
    row = connection.execute("select status, attempt, lapse_count from micro_batches where id = %s", [batch_id])
    found = row.fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def test_the_attempt_that_was_asked_for_gets_the_lease_once(connection: Connection, batch_id: UUID) -> None:
    assert requested(connection, "micro_batches") == [(batch_id, 1)]
    assert acquire(connection, "micro_batches", batch_id, attempt=2, lease_seconds=30) is None
    _take(connection, batch_id)
    assert acquire(connection, "micro_batches", batch_id, attempt=1, lease_seconds=30) is None
    assert requested(connection, "micro_batches") == []


def test_the_holder_may_write_and_renew(connection: Connection, batch_id: UUID) -> None:
    lease = _take(connection, batch_id)
    with connection.transaction():
        lease.hold(connection)
    assert renew(connection, lease, lease_seconds=30)


def test_a_fencing_number_only_grows_and_the_old_one_can_neither_hold_nor_renew(
    connection: Connection, batch_id: UUID
) -> None:
    old = _take(connection, batch_id)
    _let_lapse(connection, batch_id)
    assert _reopen(connection) == 1
    with pytest.raises(LeaseLost):
        old.hold(connection)
    new = _take(connection, batch_id, attempt=2)
    assert new.token > old.token
    with pytest.raises(LeaseLost):
        old.hold(connection)
    assert not renew(connection, old, lease_seconds=30)
    new.hold(connection)


def test_finished_work_is_held_by_nobody(connection: Connection, batch_id: UUID) -> None:
    lease = _take(connection, batch_id)
    connection.execute("update micro_batches set status = 'done' where id = %s", [batch_id])
    with pytest.raises(LeaseLost):
        lease.hold(connection)


def test_a_lapsed_lease_still_holds_until_another_attempt_is_opened(connection: Connection, batch_id: UUID) -> None:
    lease = _take(connection, batch_id)
    _let_lapse(connection, batch_id)
    lease.hold(connection)


def test_nobody_takes_the_work_over_while_a_write_under_the_lease_is_open(
    connection: Connection, database: str, batch_id: UUID
) -> None:
    lease = _take(connection, batch_id)
    _let_lapse(connection, batch_id)
    with connect(database) as other:
        with connection.transaction():
            lease.hold(connection)
            assert _reopen(other) == 0
        assert _reopen(other) == 1


def test_a_write_waits_for_the_takeover_that_came_first_and_then_fails(
    connection: Connection, database: str, batch_id: UUID
) -> None:
    lease = _take(connection, batch_id)
    _let_lapse(connection, batch_id)
    outcome: list[BaseException] = []

    def write() -> None:
        with connect(database) as late:
            try:
                lease.hold(late)
            except LeaseLost as error:
                outcome.append(error)

    with connection.transaction():
        assert _reopen(connection) == 1
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
    writer.join(10)
    assert [type(each) for each in outcome] == [LeaseLost]


def test_a_live_lease_is_not_reopened(connection: Connection, batch_id: UUID) -> None:
    _take(connection, batch_id)
    assert _reopen(connection) == 0


def test_kept_alive_carries_a_lease_of_one_second_over_three(
    connection: Connection, database: str, batch_id: UUID
) -> None:
    lease = _take(connection, batch_id, lease_seconds=1)
    deadline = time.monotonic() + 3
    with kept_alive(database, lease, lease_seconds=1):
        while time.monotonic() < deadline:
            assert _reopen(connection) == 0
            time.sleep(0.1)
    time.sleep(1.3)
    assert _reopen(connection) == 1


def test_kept_alive_outlives_a_cut_connection(connection: Connection, database: str, batch_id: UUID) -> None:
    lease = _take(connection, batch_id, lease_seconds=1.5)
    with kept_alive(database, lease, lease_seconds=1.5):
        time.sleep(0.8)
        cut = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'engage lease' and datname = current_database()"
        ).fetchall()
        assert cut == [(True,)]
        time.sleep(2)
        assert _reopen(connection) == 0


def test_kept_alive_ends_quietly_when_the_lease_is_gone(connection: Connection, database: str, batch_id: UUID) -> None:
    lease = _take(connection, batch_id, lease_seconds=0.3)
    with kept_alive(database, lease, lease_seconds=0.3):
        connection.execute("update micro_batches set status = 'done' where id = %s", [batch_id])
        time.sleep(0.4)
    assert _state(connection, batch_id) == ("done", 1, 0)


def test_a_run_that_never_began_is_asked_for_again_and_spends_no_lapse(connection: Connection, batch_id: UUID) -> None:
    for attempt in range(2, 9):
        connection.execute("update micro_batches set attempt_requested_at = clock_timestamp() - interval '301 seconds'")
        assert _reopen(connection, max_attempts=2) == 1
        assert _state(connection, batch_id) == ("waiting", attempt, 0)
        assert requested(connection, "micro_batches") == [(batch_id, attempt)]
    assert _reopen(connection) == 0


def test_after_the_last_lapse_the_work_is_failed_and_stays_so(connection: Connection, batch_id: UUID) -> None:
    for attempt in (1, 2):
        _take(connection, batch_id, attempt=attempt)
        _let_lapse(connection, batch_id)
        assert _reopen(connection, max_attempts=3) == 1
        assert _state(connection, batch_id) == ("waiting", attempt + 1, attempt)
    _take(connection, batch_id, attempt=3)
    _let_lapse(connection, batch_id)
    assert _reopen(connection, max_attempts=3) == 1
    assert _state(connection, batch_id)[0] == "failed"
    assert _reopen(connection, max_attempts=3) == 0
    assert requested(connection, "micro_batches") == []


def test_two_ticks_at_once_open_one_attempt(connection: Connection, database: str, batch_id: UUID) -> None:
    _take(connection, batch_id)
    _let_lapse(connection, batch_id)
    with connect(database) as other:
        with connection.transaction():
            assert _reopen(connection) == 1
            assert _reopen(other) == 0
        assert _reopen(other) == 0
    assert _state(connection, batch_id) == ("waiting", 2, 1)


def test_uploads_are_leased_by_the_same_rules(connection: Connection) -> None:
    connection.execute("insert into users (name) values ('acme')")
    row = connection.execute(
        "insert into lead_uploads (user_id, file_name, inbox_path) select id, 'a.csv', 'acme/a.csv' from users"
        " returning id"
    ).fetchone()
    assert row is not None
    lease = acquire(connection, "lead_uploads", row[0], attempt=1, lease_seconds=30)
    assert lease is not None
    lease.hold(connection)


def test_hold_is_for_transactions_so_a_second_holder_of_the_same_lease_is_not_shut_out(
    connection: Connection, database: str, batch_id: UUID
) -> None:
    lease = _take(connection, batch_id)
    with connect(database) as other, connection.transaction():
        lease.hold(connection)
        other.execute("set lock_timeout = '1s'")
        lease.hold(other)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("update micro_batches set status = 'done' where id = %s", [batch_id])
