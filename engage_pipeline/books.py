"""The books: four sums that must come out, or something was lost, done twice, or done without a record."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from engage_pipeline.channels.sandbox.record import read_record
from engage_pipeline.database.connections import Connection


@dataclass(frozen=True)
class Sum:
    """One total and the parts that must add up to it."""

    title: str
    total: int
    parts: Mapping[str, int]

    @property
    def is_balanced(self) -> bool:
        """Whether the parts add up."""
        return self.total == sum(self.parts.values())


@dataclass(frozen=True)
class Books:
    """All sums, what stands beside them, and every discrepancy in words. Balanced means: no discrepancy."""

    sums: tuple[Sum, ...]
    next_due: tuple[datetime, datetime] | None
    apart: Mapping[str, int]
    problems: tuple[str, ...] = field(default=())

    @property
    def are_balanced(self) -> bool:
        """Whether every sum comes out and nothing was found that the sums cannot see."""
        return not self.problems


def read_books(connection: Connection, sandbox_record: Path) -> Books:
    """The books of the whole installation at this moment, from one snapshot of the ledger and the sandbox's own record.

    The sandbox is the referee. Its record cannot share the ledger's snapshot: call this on a quiet system for a
    verdict, and at any time for a look.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        rows_read, rejected = _rows_read(connection)
        contacts = _contacts(connection)
        executions, next_due = _executions(connection)
        effects, apart, effect_problems = _effects(connection, sandbox_record)
        problems = [
            *_row_problems(connection, rows_read, rejected),
            *_execution_problems(connection),
            *effect_problems,
        ]
    sums = (rows_read, contacts, executions, effects)
    problems += [
        f"{each.title}: {each.total} is not the sum of its parts, {sum(each.parts.values())}"
        for each in sums
        if not each.is_balanced
    ]
    return Books(sums, next_due, apart, tuple(problems))


def _rows_read(connection: Connection) -> tuple[Sum, int]:
    row = connection.execute(
        "select coalesce(sum(rows_read), 0), coalesce(sum(rows_inserted), 0), coalesce(sum(rows_updated), 0),"
        " coalesce(sum(rows_duplicate), 0), coalesce(sum(rows_rejected), 0), coalesce(sum(rows_held), 0)"
        " from lead_uploads"
    ).fetchone() or (0, 0, 0, 0, 0, 0)
    parts = dict(zip(("inserted", "updated", "duplicate", "rejected", "held"), row[1:], strict=True))
    if not parts["held"]:
        del parts["held"]
    return Sum("rows read", row[0], parts), row[4]


def _row_problems(connection: Connection, rows_read: Sum, rejected: int) -> list[str]:
    """The uploads' own counts against the rows that are really there."""
    row = connection.execute(
        "select (select count(*) from contacts where upload_id is not null), (select count(*) from rejected_rows)"
    ).fetchone() or (0, 0)
    problems = []
    if row[0] != rows_read.parts["inserted"]:
        problems.append(f"uploads say {rows_read.parts['inserted']} contacts inserted, the table holds {row[0]}")
    if row[1] != rejected:
        problems.append(f"uploads say {rejected} rows rejected, quarantine holds {row[1]}")
    return problems


def _contacts(connection: Connection) -> Sum:
    rows = connection.execute(
        "select coalesce(assignments.reason, case when contacts.micro_batch_id is not null then 'being matched'"
        " when exists (select 1 from flow_assignments as earlier where earlier.contact_id = contacts.id)"
        " then 'waiting to be matched again' else 'not picked up yet' end) as reason, count(*)"
        " from contacts left join flow_assignments as assignments"
        " on assignments.contact_id = contacts.id and assignments.micro_batch_id = contacts.micro_batch_id"
        " group by 1 order by 2 desc"
    ).fetchall()
    total = connection.execute("select count(*) from contacts").fetchone()
    labels = {
        "matched": "assigned to a flow",
        "no_match": "no flow matches",
        "dnc": "do not contact",
        "already_engaged": "already engaged",
        "reentry_blocked": "re-entry blocked",
    }
    parts = {labels.get(str(reason), str(reason)): int(count) for reason, count in rows}
    return Sum("contacts", total[0] if total else 0, parts)


def _executions(connection: Connection) -> tuple[Sum, tuple[datetime, datetime] | None]:
    rows: dict[str, int] = dict(
        connection.execute("select status, count(*) from flow_executions group by status").fetchall()
    )
    waiting_on_unknown = _scalar(
        connection,
        "select count(distinct execution_id) from flow_action_logs as logs"
        " inner join flow_executions as executions on executions.id = logs.execution_id"
        " where logs.status = 'unknown' and executions.status in ('pending', 'running')",
    )
    open_count = rows.get("pending", 0) + rows.get("running", 0)
    parts = {status: rows.get(status, 0) for status in ("completed", "failed", "cancelled", "skipped")}
    parts["still open"] = open_count - waiting_on_unknown
    parts["waiting on an unknown result"] = waiting_on_unknown
    due = connection.execute(
        "select min(due_at), max(due_at) from flow_action_logs where status in ('pending', 'sending')"
    ).fetchone()
    return (
        Sum("executions", sum(rows.values()), parts),
        (due[0], due[1]) if due and due[0] is not None else None,
    )


def _execution_problems(connection: Connection) -> list[str]:
    problems = []
    matched = _scalar(connection, "select count(*) from flow_assignments where reason = 'matched'")
    started = _scalar(connection, "select count(*) from flow_executions where not is_test_run")
    starting = _scalar(
        connection,
        "select count(*) from flow_assignments as assignments inner join micro_batches as batches"
        " on batches.id = assignments.micro_batch_id where assignments.reason = 'matched' and batches.status <> 'done'"
        " and not exists (select 1 from flow_executions as executions where executions.contact_id ="
        " assignments.contact_id and executions.micro_batch_id = assignments.micro_batch_id)",
    )
    if matched != started + starting:
        problems.append(f"flows were assigned {matched} times, but {started} executions exist")
    forgotten = _scalar(
        connection,
        "select count(*) from flow_executions as executions where status in ('pending', 'running') and not exists"
        " (select 1 from flow_action_logs as logs where logs.execution_id = executions.id"
        " and logs.due_at is not null)",
    )
    if forgotten:
        problems.append(f"{forgotten} executions are open with nothing due and nothing awaited")
    stranded = _scalar(
        connection,
        "select count(*) from flow_action_logs as logs inner join flow_executions as executions"
        " on executions.id = logs.execution_id where logs.status = 'pending'"
        " and executions.status not in ('pending', 'running')",
    )
    if stranded:
        problems.append(f"{stranded} actions are pending in an execution that has ended")
    unmatched = _scalar(
        connection,
        "select count(*) from contacts inner join micro_batches as batches on batches.id = contacts.micro_batch_id"
        " where batches.status = 'done' and not exists (select 1 from flow_assignments as assignments"
        " where assignments.contact_id = contacts.id and assignments.micro_batch_id = batches.id)",
    )
    if unmatched:
        problems.append(f"{unmatched} contacts went through their batch without being matched")
    failed = _scalar(connection, "select count(*) from micro_batches where status = 'failed'")
    if failed:
        problems.append(f"{failed} micro-batches spent their attempts; see `engage batches list`")
    return problems


def _effects(connection: Connection, sandbox_record: Path) -> tuple[Sum, dict[str, int], list[str]]:
    record = read_record(sandbox_record)
    effects = Counter(reference or "no reference" for reference, _ in record.effects)
    logs = {
        str(log_id): (status, provider_message_id)
        for log_id, status, provider_message_id in connection.execute(
            # Nobody learned what became of an expired one either: it was closed as failed, and stays unknown here.
            "select id, case when outcome = 'expired' then 'unknown' else status end,"
            " provider_message_id from flow_action_logs where attempt_count > 0"
            # What a test run sends is recorded on its logs, and reaches nobody.
            " and execution_id not in (select id from flow_executions where is_test_run)"
        )
    }
    recorded = {log_id for log_id, (_, message_id) in logs.items() if message_id is not None}
    unknown = {log_id for log_id, (status, _) in logs.items() if status == "unknown"}
    in_flight = {log_id for log_id, (status, _) in logs.items() if status == "sending"}
    parts = {
        "action logs with a provider message id": len(recorded),
        "unknown logs whose request did arrive": len(unknown & effects.keys()),
    }
    if in_flight & effects.keys():
        parts["in flight, arrived"] = len(in_flight & effects.keys())
    problems = []
    twice = [reference for reference, count in effects.items() if count > 1]
    if twice:
        problems.append(f"{len(twice)} action logs have more than one effect, first {twice[0]}")
    if unrecorded := effects.keys() - recorded - unknown - in_flight:
        problems.append(f"{len(unrecorded)} effects belong to no log that knows of them, first {min(unrecorded)}")
    if imagined := recorded - effects.keys():
        problems.append(f"{len(imagined)} logs name a provider message that never arrived, first {min(imagined)}")
    apart = {
        "refused for good": record.refused_count,
        "put off (429)": record.deferred_count,
        "replayed with the same key": record.replayed_count,
    }
    return Sum("effects in the sandbox", len(record.effects), parts), apart, problems


def _scalar(connection: Connection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
