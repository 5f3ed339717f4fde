"""The warehouse end to end: rows into PostgreSQL, a build, rows out of the DuckDB file."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from engage_pipeline.analytics.errors import GrainBroken, ModelFailed, NoWarehouse, QueryFailed
from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.read import open_warehouse, query
from engage_pipeline.analytics.warehouse import OLDEST_READER, build_warehouse
from engage_pipeline.database.connections import connect
from engage_pipeline.settings import PROJECT_ROOT

GUIDE = PROJECT_ROOT / "docs" / "analytics.md"
FILES = ["engage.duckdb", "engage.duckdb.lock", "engage.duckdb.published"]
STATUSES = ("pending", "sending", "success", "failed", "skipped", "unknown")
CHANNELS = ("ai_call", "whatsapp_message", "email")


def rates(path):
    return {
        (row["flow_name"], row["channel"]): row for row in query(path, "select * from flow_success_rates").as_dicts()
    }


def write_model(folder, name, body, *, grain, reads, columns):
    path = folder / "marts" / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"-- {name}", f"-- grain: one row per thing ({grain})", f"-- reads: {reads}"]
    lines += [f"-- column {column}: a column" for column in columns]
    path.write_text("\n".join([*lines, body, ""]))


def test_an_empty_database_gives_empty_models_with_all_their_columns(build, path):
    built = build()
    assert built.is_published
    assert set(built.row_counts.values()) == {0}
    answer = query(path, "select * from flow_success_rates")
    (mart,) = (model for model in load_models(MODELS_FOLDER) if model.name == "flow_success_rates")
    assert (answer.columns, answer.rows) == (tuple(mart.columns), ())


def test_a_deleted_flow_keeps_its_rates(build, path, history, connection):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    connection.execute("update auto_engagement_flows set deleted_at = now(), priority = null, is_enabled = false")
    build()
    row = rates(path)["Welcome", "ai_call"]
    assert (row["accepted_count"], row["flow_priority"]) == (1, None)
    assert query(path, "select is_deleted, is_enabled from stg_flows").rows == ((True, False),)


def test_no_model_repeats_its_key(build, path, history):
    for tenant in ("Brightway Homes", "Northlight Solar"):
        for channel in CHANNELS:
            history.walk(tenant, "Welcome", [(channel, "success"), (channel, "failed")])
    build()
    for model in load_models(MODELS_FOLDER):
        key = ", ".join(model.key)
        assert query(path, f"select {key} from {model.name} group by all having count(*) > 1").rows == ()


def test_as_of_is_a_moment_whose_commits_are_all_in_the_file(build, path, history, connection):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    (committed_by,) = connection.execute("select clock_timestamp()").fetchone()
    built = build()
    assert built.as_of > committed_by
    ((built_at, as_of, row_counts),) = query(path, "select built_at, as_of, row_counts from warehouse_build").rows
    assert (built_at, as_of, row_counts) == (built.built_at, built.as_of, dict(built.row_counts))
    assert as_of.utcoffset() == timedelta(0)
    assert row_counts["flow_success_rates"] == row_counts["raw.flow_action_logs"] == 1


def test_tables_and_columns_carry_their_descriptions(build, path):
    build()
    for model in load_models(MODELS_FOLDER):
        kind = "view" if model.is_view else "table"
        listed = f"select comment from duckdb_{kind}s() where schema_name = 'main' and {kind}_name = '{model.name}'"
        assert query(path, listed).rows == ((model.description,),)
        listed = (
            "select column_name, comment from duckdb_columns() where schema_name = 'main'"
            f" and table_name = '{model.name}' order by column_index"
        )
        columns = query(path, listed)
        assert dict(columns.rows) == model.columns


def test_the_file_can_be_read_by_older_versions_of_duckdb(build, path, history):
    stored_as = "select tags['storage_version'] from duckdb_databases() where database_name = 'engage'"
    build()
    assert query(path, stored_as).rows == ((f"{OLDEST_READER}+",),)
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    assert not build().is_full
    assert query(path, stored_as).rows == ((f"{OLDEST_READER}+",),)


def test_each_model_file_runs_as_it_is_in_a_shell_on_the_warehouse(build, path, history):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    for model in load_models(MODELS_FOLDER):
        pasted = query(path, model.path.read_text(encoding="utf-8"))
        assert sorted(map(repr, pasted.rows)) == sorted(map(repr, query(path, f"from {model.name}").rows))


def test_the_example_of_the_guide_becomes_a_table_by_adding_its_file(build, path, history, tmp_path):
    (example,) = re.findall(r"```sql\n(-- flow_volumes\n.+?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    folder = shutil.copytree(MODELS_FOLDER, tmp_path / "models")
    (folder / "marts" / "flow_volumes.sql").write_text(example, encoding="utf-8")
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")], is_test_run=True)
    build(folder)
    assert query(path, "select execution_count from flow_volumes").rows == ((1,),)


def test_four_processes_read_whole_builds_while_the_file_is_replaced_twenty_times(build, path, history):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READ_IN_A_LOOP, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for reader in readers:
        reader.stdout.readline()
    for number in range(20):
        history.walk("Brightway Homes", "Welcome", [("ai_call", "success"), ("email", "failed")])
        build(is_full=number % 5 == 0)
    for reader in readers:
        seen, _ = reader.communicate("stop\n", timeout=60)
        assert reader.returncode == 0
        # Each read saw all tables of one build; the counts go up by one execution a build.
        assert len(set(seen.split())) >= 5
    assert query(path, "select count(*) from stg_flow_executions").rows == ((21,),)


READ_IN_A_LOOP = """
import select, sys
from pathlib import Path
from engage_pipeline.analytics.read import open_warehouse

print("ready", flush=True)
# A short rest between two questions, or four readers leave two cores no time to build.
while not select.select([sys.stdin], [], [], 0.5)[0]:
    with open_warehouse(Path(sys.argv[1])) as warehouse:
        ((executions, logs, counted),) = warehouse.execute(
            "select (select count(*) from stg_flow_executions), (select count(*) from raw.flow_action_logs),"
            " (select sum(attempted_count) from flow_success_rates)"
        ).fetchall()
        ((recorded,),) = warehouse.execute("select row_counts from warehouse_build").fetchall()
    assert logs == counted == 2 * executions - 1, (executions, logs, counted)
    assert recorded["stg_flow_executions"] == executions
    print(executions)
"""

BUILD = """
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from engage_pipeline.analytics.warehouse import build_warehouse

url, path, models = sys.argv[1:]
print("begins", flush=True)
build_warehouse(url, Path(path), models_folder=Path(models), now=datetime.now(UTC))
"""


def test_a_reader_keeps_the_file_that_it_opened(build, path, history):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    with open_warehouse(path) as warehouse:
        history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
        build()
        assert warehouse.execute("select attempted_count from flow_success_rates").fetchall() == [(1,)]
    assert query(path, "select attempted_count from flow_success_rates").rows == ((2,),)


def test_a_killed_build_leaves_the_old_file_and_the_next_build_clears_up(build, path, history, database, tmp_path):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    before = build()
    endless = tmp_path / "endless"
    write_model(
        endless,
        "endless",
        "select count(*) as a from range(10_000_000_000_000) as t(n) where hash(n) = 0",
        grain="a",
        reads="",
        columns=["a"],
    )
    child = subprocess.Popen([sys.executable, "-c", BUILD, database, str(path), str(endless)])
    try:
        deadline = time.monotonic() + 30
        while not list(path.parent.glob("*.building")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)
        assert child.poll() is None
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert list(path.parent.glob("*.building"))
    assert query(path, "select as_of from warehouse_build").rows == ((before.as_of,),)

    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    assert sorted(entry.name for entry in path.parent.iterdir()) == FILES
    assert rates(path)["Welcome", "ai_call"]["accepted_count"] == 2


@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.9, 1.2])
def test_a_build_that_is_killed_at_any_moment_leaves_a_whole_file(seconds, build, path, history, database):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    build()
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    child = subprocess.Popen(
        [sys.executable, "-c", BUILD, database, str(path), str(MODELS_FOLDER)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "begins\n"
    time.sleep(seconds)
    child.kill()
    child.wait()
    ((row_counts,),) = query(path, "select row_counts from warehouse_build").rows
    assert row_counts["stg_flow_executions"] in (1, 2)
    assert rates(path)["Welcome", "ai_call"]["accepted_count"] == row_counts["stg_flow_executions"]

    build()
    assert sorted(entry.name for entry in path.parent.iterdir()) == FILES
    assert rates(path)["Welcome", "ai_call"]["accepted_count"] == 2


def test_the_half_built_file_of_a_living_process_is_left_alone(build, path):
    path.parent.mkdir()
    other = path.with_name(f"{path.name}.{os.getppid()}-0a1b2c3d.building")
    other.touch()
    build()
    assert other.exists()


def test_two_builds_at_once_both_end_and_the_later_snapshot_stays(build, path, history, database):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    children = [
        subprocess.Popen([sys.executable, "-c", BUILD, database, str(path), str(MODELS_FOLDER)]) for _ in range(3)
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert sorted(entry.name for entry in path.parent.iterdir()) == FILES
    assert rates(path)["Welcome", "ai_call"]["accepted_count"] == 1


def test_an_earlier_snapshot_never_takes_the_place_of_a_later_one(build, path):
    build()
    with duckdb.connect(path) as warehouse:
        warehouse.execute("update warehouse_build set as_of = as_of + interval 1 hour")
    before = query(path, "select as_of from warehouse_build").rows
    assert build().is_published is False
    assert query(path, "select as_of from warehouse_build").rows == before


@pytest.mark.parametrize("damage", ["not a database", ""])
def test_a_damaged_file_is_replaced(build, path, damage):
    path.parent.mkdir()
    path.write_text(damage)
    assert build().is_published
    assert query(path, "select count(*) from warehouse_build").rows == ((1,),)


def test_a_log_left_by_somebody_who_wrote_to_the_old_file_does_not_spoil_the_new_one(build, path):
    build()
    write_and_die = (
        "import duckdb, os, sys; held = duckdb.connect(sys.argv[1]);"
        " held.execute('create table a as select 1 as b'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", write_and_die, str(path)], check=True)
    assert path.with_name(f"{path.name}.wal").exists()
    build()
    assert query(path, "select count(*) from warehouse_build").rows == ((1,),)


def test_no_personal_data_reaches_the_file(build, path, history, connection):
    number, address, name = "+12025550143", "marlowe.quill@example.com", "Marlowe-Quillfeather"
    said = f'{{"to": "{number}", "email": "{address}", "transcript": "Hello {name}"}}'
    for status in STATUSES:
        history.walk(
            "Brightway Homes",
            "Welcome",
            [("ai_call", status)],
            phone=number,
            email=address,
            first_name=name,
            lead_source=address,
            error_message=f"no route to {number}",
            request=said,
            code=name,
        )
    history.upload("Brightway Homes", {"no_address": 1})
    everything = f"{number} {address} {name}"
    for statement in (
        "update contacts set last_name = %(it)s, company = %(it)s, external_id = id || %(it)s, source_system = %(it)s,"
        " tags = array[%(it)s], custom_fields = jsonb_build_object(%(it)s::text, %(it)s::text)",
        "update flow_action_logs set provider_message_id = %(it)s, result_data = result_data || %(said)s,"
        " attempts = jsonb_build_array(%(it)s::text)",
        "update flow_action_logs set skip_reason = %(it)s where skip_reason is not null",
        "update flow_executions set metadata = %(said)s",
        "update lead_uploads set file_name = %(it)s, inbox_path = %(it)s, column_mapping = %(said)s,"
        " refusal_reason = %(it)s",
        "update rejected_rows set raw_row = %(said)s, reason = %(it)s",
        "update auto_engagement_flows set description = %(it)s",
    ):
        connection.execute(statement, {"it": everything, "said": said})
    build()
    secrets = ("2025550143", "marlowe.quill", "Quillfeather")
    content = path.read_bytes()
    assert not [secret for secret in secrets if secret.encode() in content]
    # DuckDB may compress what it stores, so the tables are read as well.
    for schema, table in query(path, "select schema_name, table_name from duckdb_tables()").rows:
        rows = repr(query(path, f'select * from "{schema}"."{table}"').rows)
        assert not [secret for secret in secrets if secret in rows], table


def test_a_model_that_fails_is_named_and_the_old_file_stays(build, path, tmp_path, history):
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")])
    before = build()
    folder = tmp_path / "models"
    write_model(folder, "broken", "select name::int as a from raw.users", grain="a", reads="raw.users", columns=["a"])
    with pytest.raises(ModelFailed, match=r"broken\.sql"):
        build(folder)
    assert query(path, "select as_of from warehouse_build").rows == ((before.as_of,),)
    assert not list(path.parent.glob("*.building*"))


def test_a_model_that_repeats_its_key_is_not_published(build, path, tmp_path):
    folder = tmp_path / "models"
    write_model(folder, "doubled", "select 1 as a from range(3) as t(n)", grain="a", reads="", columns=["a"])
    with pytest.raises(GrainBroken) as caught:
        build(folder)
    assert caught.value.repeated_count == 2
    assert not path.exists()


def test_a_database_that_cannot_be_reached_leaves_the_old_file(build, path):
    before = build()
    with pytest.raises(Exception, match="refused"):
        build_warehouse("postgresql://127.0.0.1:1/nothing", path, models_folder=MODELS_FOLDER, now=datetime.now(UTC))
    assert query(path, "select as_of from warehouse_build").rows == ((before.as_of,),)
    assert not list(path.parent.glob("*.building*"))


def test_a_build_reads_one_moment_while_others_write(build, path, history, database):
    """Executions are read after their logs; without one snapshot some would have no log yet."""
    history.flow("Brightway Homes", "Welcome")
    is_done = threading.Event()

    def write():
        with connect(database) as own_connection:
            own = replace(history, connection=own_connection)
            while not is_done.is_set():
                with own_connection.transaction():
                    own.walk("Brightway Homes", "Welcome", [("ai_call", "success")])

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        try:
            counts = [build().row_counts for _ in range(5)]
        finally:
            is_done.set()
        writing.result()
    assert [of["raw.flow_executions"] for of in counts] == [of["raw.flow_action_logs"] for of in counts]


def test_a_file_that_is_not_there_is_a_typed_error(path):
    with pytest.raises(NoWarehouse) as caught:
        query(path, "select 1")
    assert "engage dev" in caught.value.fix


@pytest.mark.parametrize(
    "sql", ["create table a (b int)", "select nothing from nowhere", "selec 1", "", "  -- nothing"]
)
def test_a_query_that_duckdb_refuses_is_a_typed_error(build, path, sql):
    build()
    with pytest.raises(QueryFailed):
        query(path, sql)
