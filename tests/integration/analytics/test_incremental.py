"""A warehouse that follows the changes holds what one that is built from nothing holds, whatever the changes are."""

import random
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from engage_pipeline.analytics.errors import ChecksFailed
from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.raw_tables import load_raw_tables
from engage_pipeline.analytics.read import open_warehouse, query
from engage_pipeline.analytics.warehouse import build_warehouse
from engage_pipeline.database.connections import connect
from tests.integration.analytics.conftest import STARTED_AT, History

CHANNELS = ("ai_call", "whatsapp_message", "email")
TOLD = (
    ("pending", None),
    ("sending", None),
    ("sent", "accepted"),
    ("success", "accepted"),
    ("success", "answered"),
    ("success", "delivered"),
    ("failed", "voicemail"),
    ("failed", "expired"),
    ("failed", "opted_out"),
    ("failed", "refused"),
    ("skipped", None),
    ("unknown", None),
)


def content(path):
    """Every table and view of the file, as sorted rows; without the record of the build."""
    names = [f"raw.{table.name}" for table in load_raw_tables()] + [model.name for model in load_models(MODELS_FOLDER)]
    with open_warehouse(path) as warehouse:
        return {name: sorted(map(repr, warehouse.execute(f"from {name}").fetchall())) for name in names}


class Wanderer:
    """Does something to a history, at random, on its own connection."""

    def __init__(self, history: History, rng: random.Random) -> None:
        self.history, self.rng = history, rng

    def step(self, own: History) -> None:
        act = self.rng.choice([self.walk, self.walk, self.tell, self.tell, self.delete, self.amend, self.upload])
        act(own)

    def walk(self, own: History) -> None:
        told = [(self.rng.choice((*CHANNELS, "wait")), self.rng.choice(TOLD)) for _ in range(self.rng.randint(1, 3))]
        tenant = self.rng.choice(("Brightway Homes", "Northlight Solar"))
        own.walk(
            tenant,
            self.rng.choice(("Welcome", "Revive")),
            [(kind, "success" if kind == "wait" else each) for kind, each in told],
            is_test_run=self.rng.random() < 0.1,
            lead_source=self.rng.choice((None, "web", "fair")),
            cost_cents=self.rng.choice((None, 1.25, 3.7)),
            sent_at=STARTED_AT + timedelta(hours=self.rng.randint(0, 100)),
        )

    def tell(self, own: History) -> None:
        """Logs of an execution get another outcome, or are sent on another day."""
        own.connection.execute(
            "update flow_action_logs set outcome = %s, executed_at = %s, accepted_at = %s where id in"
            " (select id from flow_action_logs where status in ('success', 'failed') order by random() limit 2)",
            (
                self.rng.choice(("answered", "delivered", "accepted")),
                *[STARTED_AT + timedelta(hours=self.rng.randint(0, 100))] * 2,
            ),
        )

    def delete(self, own: History) -> None:
        """Somebody is forgotten, with all that happened."""
        row = own.connection.execute("select id from contacts order by random() limit 1").fetchone()
        if row is None:
            return
        for statement in (
            "delete from flow_action_logs where execution_id in (select id from flow_executions where contact_id = %s)",
            "delete from flow_executions where contact_id = %s",
            "delete from flow_assignments where contact_id = %s",
            "delete from contacts where id = %s",
        ):
            own.connection.execute(statement, row)

    def amend(self, own: History) -> None:
        own.connection.execute(
            self.rng.choice(
                (
                    "update contacts set lead_source = 'referral' where id = (select id from contacts order by random()"
                    " limit 1)",
                    "update flow_executions set is_test_run = not is_test_run where id = (select id from"
                    " flow_executions order by random() limit 1)",
                    "update auto_engagement_flows set name = 'Renamed ' || id where id = (select id from"
                    " auto_engagement_flows order by random() limit 1)",
                    "delete from rejected_rows where id = (select min(id) from rejected_rows)",
                    "update contacts set tags = '{dnc}' where id = (select id from contacts order by random() limit 1)",
                )
            )
        )

    def upload(self, own: History) -> None:
        own.upload("Brightway Homes", {"no_address": self.rng.randint(0, 2)}, rows_inserted=self.rng.randint(0, 40))


@pytest.mark.parametrize("seed", range(3))
def test_following_random_changes_with_late_commits_ends_as_a_full_build_does(
    seed, database, history, path, build, tmp_path
):
    rng = random.Random(seed)
    wanderer = Wanderer(history, rng)
    for tenant in ("Brightway Homes", "Northlight Solar"):
        for flow in ("Welcome", "Revive"):
            history.flow(tenant, flow)
    for _ in range(10):
        wanderer.walk(history)
    assert build().is_full
    with ExitStack() as stack:
        late = [stack.enter_context(connect(database)) for _ in range(2)]
        for number in range(3):
            # What is written in these transactions commits after later writes were published.
            open_late = late[number % 2]
            open_late.execute("begin")
            own = History(open_late, history.tenants, history.flows)
            for _ in range(rng.randint(1, 3)):
                rng.choice((wanderer.walk, wanderer.upload))(own)
            for _ in range(rng.randint(0, 4)):
                rng.choice((wanderer.walk, wanderer.upload))(history)
            assert not build().is_full
            open_late.execute(rng.choice(("commit", "commit", "rollback")))
            for _ in range(rng.randint(0, 4)):
                wanderer.step(history)
            assert not build().is_full
    other = tmp_path / "full" / "engage.duckdb"
    build_warehouse(database, other, models_folder=MODELS_FOLDER, now=datetime.now(UTC))
    assert content(path) == content(other)


def test_a_row_that_was_written_before_and_committed_after_a_build_is_in_the_next_one(build, path, history, database):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    with connect(database) as slow:
        slow.execute("begin")
        History(slow, history.tenants, history.flows).walk("Brightway Homes", "Welcome", [("ai_call", "success")])
        history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
        assert build().row_counts["fct_actions"] == 2
        slow.execute("commit")
    built = build()
    assert (built.row_counts["fct_actions"], built.is_full) == (3, False)
    assert query(path, "select attempted_count from flow_success_rates").rows == ((3,),)


def test_a_deleted_row_leaves_and_one_that_comes_back_is_there_again(build, path, history, connection):
    upload_id = history.upload("Brightway Homes", {"no_address": 2})
    build()
    connection.execute("create temp table gone as select * from lead_uploads")
    connection.execute("delete from rejected_rows")
    connection.execute("delete from lead_uploads")
    assert build().row_counts["upload_quality"] == 0
    connection.execute("insert into lead_uploads select * from gone")
    built = build()
    assert not built.is_full
    assert query(path, "select upload_id, top_reject_reason from upload_quality").rows == ((upload_id, None),)


def test_a_table_that_was_emptied_is_read_anew(build, path, history, connection):
    history.upload("Brightway Homes", {"no_address": 2})
    build()
    connection.execute("truncate rejected_rows")
    built = build()
    assert built.is_full
    assert built.row_counts["raw.rejected_rows"] == 0


def test_a_build_reads_only_what_changed(build, history, connection):
    for _ in range(5):
        history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    assert build().is_full
    assert build().changed_count == 0
    connection.execute(
        "update flow_action_logs set outcome = 'answered' where id = (select min(id::text)::uuid from flow_action_logs)"
    )
    built = build()
    assert (built.is_full, built.changed_count) == (False, 1)


def test_a_full_check_tells_what_refreshing_had_left_wrong(build, path, history, connection):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    assert build(is_full=True).missed == ()
    connection.execute("alter table flow_action_logs disable trigger note_change")
    connection.execute("update flow_action_logs set outcome = 'no_answer'")
    connection.execute("alter table flow_action_logs enable trigger note_change")
    assert build().changed_count == 0
    checked = build(is_full=True)
    assert {"raw.flow_action_logs", "fct_actions", "flow_success_rates"} <= {*checked.missed}
    assert query(path, "select succeeded_count, outcome_known_count from flow_success_rates").rows == ((0, 1),)


def test_a_check_that_fails_keeps_the_published_file(build, path, history, monkeypatch):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    before = build()
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    monkeypatch.setattr("engage_pipeline.analytics.capture.Snapshot.count", lambda *_: 7)
    with pytest.raises(ChecksFailed, match="balances_with_postgresql"):
        build()
    assert query(path, "select as_of from warehouse_build").rows == ((before.as_of,),)
    assert not list(path.parent.glob("*.building"))


def test_what_somebody_wrote_into_the_file_is_gone_with_the_next_build(build, path, history):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    with duckdb.connect(path) as warehouse:
        warehouse.execute("update raw.flow_action_logs set status = 'failed'")
    assert build().is_full
    assert query(path, "select accepted_count from flow_success_rates").rows == ((1,),)


def test_another_database_under_the_same_url_is_read_anew(build, path, history, connection, database):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    with duckdb.connect(path) as warehouse:
        warehouse.execute("update warehouse_build set source = 'another'")
    path.with_name(f"{path.name}.published").write_text(
        repr([path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns])
    )
    assert build().is_full
