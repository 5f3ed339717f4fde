"""The state machine: the database refuses what `states` does not have, and the statements say what they do."""

import itertools
import re
from pathlib import Path

import psycopg
import pytest

from engage_pipeline.database.vocabulary import ACTION_LOG_STATUSES, EXECUTION_STATUSES, OPEN_LOG_STATUSES
from engage_pipeline.execution import states
from engage_pipeline.execution.states import MACHINES, may_follow
from tests.integration.ledger_world import flow_of

STATUSES = {"flow_action_logs": ACTION_LOG_STATUSES, "flow_executions": EXECUTION_STATUSES}
CHANGES = [
    (table, before, after)
    for table, statuses in STATUSES.items()
    for before, after in itertools.permutations(statuses, 2)
]
SQL_FILES = sorted(Path(states.__file__).parent.glob("*.sql"))
DOCS = Path(states.__file__).parents[2] / "docs" / "execution.md"


@pytest.fixture
def one_log(world):
    world.apply(flow_of("email"))
    world.contact()
    world.started()
    return world


def put(world, table, status, **columns):
    """Write the status past every trigger, as a row that has it already."""
    values = {"status": status, **columns}
    if table == "flow_action_logs":
        due = "now()" if status in OPEN_LOG_STATUSES else "null"
        skip = "'suppressed'" if status == "skipped" else "null"
        values |= {"due_at": due, "skip_reason": skip}
    written = ", ".join(
        f"{name} = {value if name in ('due_at', 'skip_reason') else repr(value)}" for name, value in values.items()
    )
    world.connection.execute(f"update {table} set {written}")


def test_the_database_makes_exactly_the_transitions_of_the_machine(one_log):
    allowed = []
    for table, before, after in CHANGES:
        one_log.connection.execute("set session_replication_role = replica")
        extra = {"outcome": "expired", "action_type": "wait"} if table == "flow_action_logs" else {}
        put(one_log, table, before, **extra)
        one_log.connection.execute("set session_replication_role = origin")
        try:
            put(one_log, table, after)
            allowed.append((table, before, after))
        except psycopg.errors.CheckViolation as error:
            assert f"may not go from {before} to {after}" in str(error)
    assert allowed == [change for change in CHANGES if may_follow(*change)]


@pytest.mark.parametrize(
    ("before", "after", "columns"),
    [
        ("pending", "success", {"action_type": "email"}),
        ("failed", "success", {"outcome": "refused"}),
        ("failed", "success", {}),
    ],
)
def test_two_transitions_are_for_some_rows_only(one_log, before, after, columns):
    one_log.connection.execute("set session_replication_role = replica")
    put(one_log, "flow_action_logs", before, **columns)
    one_log.connection.execute("set session_replication_role = origin")
    with pytest.raises(psycopg.errors.CheckViolation):
        put(one_log, "flow_action_logs", after)


def test_every_statement_that_changes_a_status_names_only_transitions_there_are():
    """The header is the contract: `-- name: a, b -> c | d`, and what it writes is among the c and d."""
    seen = 0
    for path in SQL_FILES:
        text = path.read_text(encoding="utf-8")
        table = next((table for table in MACHINES if re.search(rf"update {table}\b", text)), None)
        if table is None or not re.search(r"^\s+status = ", text, re.MULTILINE):
            continue
        seen += 1
        header = " ".join(line[3:] for line in text.splitlines() if line.startswith("-- "))
        named = [
            (before, after)
            for befores, afters in re.findall(r"((?:\w+, )*\w+)(?: by a timeout)? -> ((?:\w+ \| )*\w+)", header)
            for before in befores.split(", ")
            for after in afters.split(" | ")
        ]
        assert named, path.name
        wrong = [pair for pair in named if pair[0] != pair[1] and not may_follow(table, *pair)]
        assert wrong == [], path.name
    assert seen >= 6


def test_the_docs_have_every_transition():
    page = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \| (`[^|]*`) \|", page, re.MULTILINE)
    written = {
        (before, after)
        for befores, afters in rows
        for before in re.findall(r"`(\w+)`", befores)
        for after in re.findall(r"`(\w+)`", afters)
    }
    machines = {(each.before, each.after) for machine in MACHINES.values() for each in machine}
    assert machines <= written
