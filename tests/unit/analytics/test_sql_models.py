"""The model loader: what it reads out of a file, the order it gives, and the mistakes it names."""

import pytest
import sqlglot

from engage_pipeline.analytics.errors import BrokenModel, DuplicateModel, MissingInput, ModelCycle
from engage_pipeline.analytics.header import read_header
from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.raw_tables import load_raw_tables


@pytest.fixture
def write(tmp_path):
    """Writes `<layer>/<name>.sql` with a header that fits, and gives the folder."""

    def write_model(name, body, *, reads, layer="staging", columns=("a",), first_line=None):
        path = tmp_path / layer / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        lines = [first_line or f"-- {name}", "-- grain: one row per a (a)", f"-- reads: {', '.join(reads)}"]
        lines += [f"-- column {column}: what {column} is" for column in columns]
        path.write_text("\n".join([*lines, body, ""]), encoding="utf-8")
        return tmp_path

    return write_model


def test_the_projects_models_load_each_after_its_inputs():
    models = load_models(MODELS_FOLDER)
    names = [model.name for model in models]
    assert "flow_success_rates" in names
    for model in models:
        for table in model.inputs:
            assert table.startswith("raw.") or names.index(table) < names.index(model.name)


def test_a_model_carries_what_its_header_says(write):
    folder = write("stg_a", "select id as a, name as b from raw.users", reads=["raw.users"], columns=("b", "a"))
    (model,) = load_models(folder)
    assert (model.name, model.layer, model.path) == ("stg_a", "staging", folder / "staging" / "stg_a.sql")
    assert (model.inputs, model.key) == (("raw.users",), ("a",))
    assert model.description == "One row per a (a)."
    assert list(model.columns.items()) == [("a", "what a is"), ("b", "what b is")]


def test_a_header_line_may_go_on_below(tmp_path):
    path = tmp_path / "fct_a.sql"
    sql = (
        "-- fct_a\n-- grain: one row per contact\n--        and day (contact_id, day)\n-- reads: x,\n--        y\n"
        "-- note:  first\n-- note:  second,\n--        longer\nselect 1\n-- column late: not in the header"
    )
    header = read_header(path, sql)
    assert header.key == ("contact_id", "day")
    assert header.reads == ("x", "y")
    assert header.description == "One row per contact and day (contact_id, day). First. Second, longer."
    assert header.columns == {}


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ("with x as (select id as a from raw.users) select a from x", ["raw.users"]),
        ("with x as (select 1 as a), y as (select a from x) select a from y", []),
        ("select u.id as a from raw.users as u join raw.flow_executions as e on true",
         ["raw.flow_executions", "raw.users"]),
        ("select a from (select a from (select id as a from raw.users))", ["raw.users"]),
        ("select 1 as a where exists (select 1 from raw.users)", ["raw.users"]),
        ("select (select max(id) from raw.users) as a", ["raw.users"]),
        ("select id as a from raw.users union all select id from raw.flow_executions",
         ["raw.flow_executions", "raw.users"]),
        ("with users as (select id from raw.users) select id as a from users", ["raw.users"]),
        ("select e.id as a from raw.flow_executions e, lateral (select 1 from raw.users u where u.id = e.user_id)",
         ["raw.flow_executions", "raw.users"]),
        ("from raw.users select id as a", ["raw.users"]),
        ("select n as a from range(3) as r(n), unnest([1, 2]) as u(x), (values (1)) as v(y)", []),
        ("with recursive t as (select 1 as a union all select a + 1 from t where a < 3) select a from t", []),
        ("select id as a from raw.users qualify row_number() over (partition by name order by id) = 1", ["raw.users"]),
    ],
)  # fmt: skip
def test_inputs_are_found_wherever_they_stand(write, body, reads):
    (model,) = load_models(write("stg_a", body, reads=reads))
    assert model.inputs == tuple(reads)


def test_a_cte_with_a_models_name_is_not_that_model(write):
    write("stg_a", "select id as a from raw.users", reads=["raw.users"])
    folder = write("stg_b", "with stg_a as (select 1 as a) select a from stg_a", reads=[])
    assert {model.name: model.inputs for model in load_models(folder)} == {"stg_a": ("raw.users",), "stg_b": ()}


def test_order_does_not_follow_names_or_layers(write):
    write("a", "select a from z", reads=["z"], layer="staging")
    folder = write("z", "select 1 as a", reads=[], layer="marts")
    assert [model.name for model in load_models(folder)] == ["z", "a"]


def test_a_missing_input_names_the_file_and_the_nearest_table(write):
    folder = write("a", "select id as a from raw.user", reads=["raw.user"], layer="marts")
    with pytest.raises(MissingInput) as caught:
        load_models(folder)
    assert str(folder / "marts" / "a.sql") in caught.value.what
    assert caught.value.fix == "read raw.users"


def test_a_cycle_names_its_files(write):
    write("a", "select a from b", reads=["b"])
    write("b", "select a from c", reads=["c"])
    write("c", "select a from a", reads=["a"])
    folder = write("d", "select a from a", reads=["a"])
    with pytest.raises(ModelCycle) as caught:
        load_models(folder)
    assert {path.name for path in caught.value.paths} == {"a.sql", "b.sql", "c.sql"}


def test_a_model_that_reads_itself_is_a_cycle(write):
    with pytest.raises(ModelCycle):
        load_models(write("a", "select a from a", reads=["a"]))


def test_a_duplicate_name_names_both_files(write):
    write("a", "select 1 as a", reads=[])
    folder = write("a", "select 1 as a", reads=[], layer="marts")
    with pytest.raises(DuplicateModel) as caught:
        load_models(folder)
    assert caught.value.paths == (folder / "marts" / "a.sql", folder / "staging" / "a.sql")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"first_line": "-- another"}, "does not name it"),
        ({"body": "select 1 as a; select 2 as a"}, "not one query"),
        ({"body": "drop table a"}, "not one query"),
        ({"body": ""}, "not one query"),
        ({"body": "select from where ("}, "not SQL"),
        ({"reads": ["raw.users"]}, "says it reads raw.users"),
        ({"body": "select 1 as a, 2 as b"}, "these columns: b"),
        ({"columns": ("a", "b")}, "these columns: b"),
        ({"body": "select * from raw.users", "reads": ["raw.users"]}, "these columns"),
        ({"body": "select 1 as a, 2 as a"}, "these columns: a"),
        ({"body": "select 1 as b", "columns": ("b",)}, "grain names a column"),
    ],
)
def test_a_file_that_breaks_its_contract_is_named(write, changes, why):
    arguments = {"body": "select 1 as a", "reads": [], **changes}
    with pytest.raises(BrokenModel) as caught:
        load_models(write("stg_a", **arguments))
    assert "stg_a.sql" in caught.value.what
    assert why in caught.value.why


def test_a_header_without_a_key_is_refused(tmp_path):
    with pytest.raises(BrokenModel, match="one row is"):
        read_header(tmp_path / "a.sql", "-- a\n-- grain: one row per thing\nselect 1")


def test_no_raw_table_reads_a_column_that_could_hold_an_address_or_free_text():
    personal = (
        "phone_e164", "email", "first_name", "last_name", "company", "custom_fields", "tags", "external_id", "request",
        "result_data", "error_message", "skip_reason", "provider_message_id", "metadata", "file_name", "raw_row",
    )  # fmt: skip
    # Booleans about them, and codes that a pattern holds to a vocabulary.
    guarded = {"reason_code", "skip_reason"}
    for table in load_raw_tables():
        for selected in sqlglot.parse_one(table.sql, dialect="postgres").selects:
            is_harmless = selected.alias_or_name.startswith(("has_", "is_")) or selected.alias_or_name in guarded
            columns = {column.name for column in selected.find_all(sqlglot.exp.Column)}
            assert is_harmless or not columns & {*personal}, selected.sql()
