"""`engage stats` and `engage sql` as a person and as a program call them."""

import csv
import io
import json
from functools import partial

import duckdb
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from engage_pipeline.analytics.errors import NoWarehouse, QueryFailed, UnknownExport, UnknownMart
from engage_pipeline.analytics.rates_table import success_rates_tables
from engage_pipeline.analytics.read import query
from engage_pipeline.cli.app import app
from engage_pipeline.settings import load_settings


@pytest.fixture
def engage(path, monkeypatch):
    """Runs an `engage` command in an installation whose warehouse is the test's."""
    monkeypatch.setenv("ENGAGE_HOME", str(path.parent.parent))
    load_settings.cache_clear()
    yield lambda *arguments: CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    load_settings.cache_clear()


@pytest.fixture
def warehouse(build, history):
    """Thirty calls answered, one that was not and one refused; one e-mail still pending."""
    for status in [("success", "answered")] * 30 + [("failed", "no_answer"), ("failed", "refused")]:
        history.walk("Brightway Homes", "Welcome [new]", [("ai_call", status)])
    history.walk("Northlight Solar", "Revive", [("email", "pending")])
    return build()


def rendered(tables, *, width=200):
    console = Console(width=width, file=io.StringIO())
    console.print(tables)
    return console.file.getvalue()


def test_the_table_shows_each_rate_with_its_bar_and_interval(warehouse):
    lines = rendered(success_rates_tables(warehouse.path)).splitlines()
    (calls,) = [line for line in lines if "AI call" in line]
    assert "Welcome [new]" in calls
    assert "31/32" in calls
    assert "30/31" in calls
    assert "████▉  96.8%" in calls
    assert "83.8–99.4 %" in calls
    assert [line.split()[-2:] for line in lines if "e-mail" in line and "0/0" in line] == [["not", "known"]]
    assert f"as of {warehouse.as_of:%Y-%m-%d %H:%M:%S} UTC" in " ".join(" ".join(lines).split())


def test_each_tenant_has_a_table_that_names_it(warehouse):
    lines = rendered(success_rates_tables(warehouse.path)).splitlines()
    titles = [line for line in lines if line.startswith("Rates by flow and channel")]
    assert [tenant for tenant in ("Brightway Homes", "Northlight Solar") for line in titles if tenant in line] == [
        "Brightway Homes",
        "Northlight Solar",
    ]


def test_what_is_in_no_rate_stands_in_a_table_of_its_own(warehouse):
    text = rendered(success_rates_tables(warehouse.path))
    (apart,) = text.split("Counted apart, in no success rate")[1:]
    header, _, mails, *_ = [line for line in apart.splitlines() if line.strip()]
    assert header.split() == ["flow", "channel", "open"]
    assert mails.split() == ["Revive", "e-mail", "1"]


def test_the_tables_fit_a_terminal_of_80_columns_with_nothing_cut(build, history, connection):
    for told in [("success", "answered")] * 9 + [("sent", "accepted"), ("unknown", None), "pending", "skipped"]:
        history.walk("Brightway Homes", "A flow with quite a long name", [("ai_call", told), ("email", "success")])
    built = build()
    with duckdb.connect(built.path) as warehouse:
        warehouse.execute("update flow_success_rates set accepted_count = 9876, attempted_count = 9876")
    narrow = rendered(success_rates_tables(built.path), width=80)
    assert "…" not in narrow
    for word in ("9,876/9,876", "9/9", "70.1–100.0 %", "still out", "no feed", "unknown", "open", "skipped"):
        assert word in narrow, narrow


def test_an_empty_warehouse_says_so(build):
    assert "No flow has an action yet" in rendered(success_rates_tables(build().path))


def test_stats_as_json_is_one_array_and_the_path_goes_to_stderr(engage, warehouse):
    result = engage("stats", "--json")
    assert result.exit_code == 0
    calls, mails = json.loads(result.stdout)
    assert (calls["tenant_name"], calls["succeeded_count"], calls["enough_data"]) == ("Brightway Homes", 30, True)
    assert (mails["open_count"], mails["success_rate"]) == (1, None)
    assert result.stderr.strip() == str(warehouse.path)


def test_stats_for_people_prints_the_table(engage, warehouse):
    result = engage("stats")
    assert "Rates by flow and channel" in result.stdout
    assert "Revive" in result.stdout


def test_sql_answers_as_a_table_as_json_and_as_csv(engage, warehouse):
    question = "select flow_name, succeeded_count from flow_success_rates where channel = 'ai_call'"
    assert "Welcome [new]" in engage("sql", question).stdout
    assert json.loads(engage("sql", question, "--json").stdout) == [
        {"flow_name": "Welcome [new]", "succeeded_count": 30}
    ]
    lines = list(csv.reader(io.StringIO(engage("sql", question, "--csv").stdout)))
    assert lines == [["flow_name", "succeeded_count"], ["Welcome [new]", "30"]]


def test_sql_writes_instants_with_their_zone(engage, warehouse):
    (row,) = json.loads(engage("sql", "select as_of from warehouse_build", "--json").stdout)
    assert row["as_of"] == warehouse.as_of.isoformat()


def test_no_progress_bar_is_drawn_into_the_answer_of_a_query_that_takes_seconds(engage, warehouse):
    question = "select current_setting('enable_progress_bar') as is_drawn"
    assert json.loads(engage("sql", question, "--json").stdout) == [{"is_drawn": False}]


def test_sql_refuses_two_formats_at_once(engage, warehouse):
    assert engage("sql", "select 1", "--json", "--csv").exit_code == 2


def test_sql_never_writes(engage, warehouse):
    result = engage("sql", "delete from flow_success_rates")
    assert isinstance(result.exception, QueryFailed)


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_export_writes_every_row_of_a_mart(ending, engage, warehouse, tmp_path):
    file = tmp_path / f"rates.{ending}"
    result = engage("export", "flow_success_rates", "-o", str(file))
    assert result.exit_code == 0
    assert "2 rows" in result.stdout
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "xlsx": partial(pd.read_excel, engine="calamine")}
    frame = readers[ending](file)
    assert list(frame.columns) == list(query(warehouse.path, "from flow_success_rates").columns)
    assert sorted(frame["succeeded_count"]) == [0, 30]
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [file.name]


@pytest.mark.parametrize(
    ("mart", "file", "error"), [("flow_succes_rates", "a.csv", UnknownMart), ("stg_users", "a.docx", UnknownExport)]
)
def test_export_refuses_what_it_cannot_write(mart, file, error, engage, warehouse, tmp_path):
    assert isinstance(engage("export", mart, "-o", str(tmp_path / file)).exception, error)
    assert not (tmp_path / file).exists()


def test_without_a_warehouse_the_commands_say_how_to_get_one(engage):
    for arguments in (["stats"], ["sql", "select 1"]):
        assert isinstance(engage(*arguments).exception, NoWarehouse)
