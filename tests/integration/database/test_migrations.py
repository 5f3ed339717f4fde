"""The migrations end, whichever way they go, at the schema that the code describes and the client asked for."""

import threading

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, pool

from engage_pipeline.database.connections import Connection, sqlalchemy_url
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tables import metadata

CATALOG = {
    "tables": "select relname, relkind::text, obj_description(oid) from pg_class"
    " where relnamespace = 'public'::regnamespace and relkind in ('r', 'S', 'v')",
    "columns": "select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,"
    " attidentity::text, attgenerated::text, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)"
    " from pg_attribute inner join pg_class on pg_class.oid = attrelid"
    " left join pg_attrdef on adrelid = attrelid and adnum = attnum"
    " where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped",
    "constraints": "select conrelid::regclass::text, conname, contype::text, condeferrable, condeferred,"
    " pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace",
    "indexes": "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'",
    "triggers": "select tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal",
    "functions": "select proname, pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace",
}


def _schema(connection: Connection) -> dict[str, list[str]]:
    return {name: sorted(map(repr, connection.execute(statement).fetchall())) for name, statement in CATALOG.items()}


def _without_alembic(schema: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [row for row in rows if "alembic_version" not in row] for name, rows in schema.items()}


def test_up_down_and_up_again_ends_at_the_schema_of_an_empty_start(connection: Connection, database: str) -> None:
    from_empty = _schema(connection)
    assert all(from_empty.values())
    migrate(database, revision="base")
    assert not any(_without_alembic(_schema(connection)).values())
    migrate(database)
    assert _schema(connection) == from_empty


def test_migrating_a_migrated_database_changes_nothing(connection: Connection, database: str) -> None:
    before = _schema(connection)
    migrate(database)
    assert _schema(connection) == before


def test_several_processes_may_migrate_at_once(connection: Connection, database: str) -> None:
    migrated = _schema(connection)
    migrate(database, revision="base")
    failures: list[Exception] = []

    def run() -> None:
        try:
            migrate(database)
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion below shows it
            failures.append(error)

    racers = [threading.Thread(target=run) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert failures == []
    assert _schema(connection) == migrated


def test_alembic_finds_no_difference_between_the_tables_in_code_and_the_database(database: str) -> None:
    engine = create_engine(sqlalchemy_url(database), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "auto_engagement_flows",
            "id user_id name description is_enabled priority use_custom_business_hours business_hours_start"
            " business_hours_end business_hours_timezone created_at updated_at",
        ),
        (
            "flow_trigger_conditions",
            "id flow_id condition_type condition_operator condition_value custom_field_name",
        ),
        ("flow_actions", "id flow_id action_order action_type action_config execute_condition"),
        (
            "flow_executions",
            "id flow_id user_id contact_id status triggered_at completed_at is_test_run metadata",
        ),
        (
            "flow_action_logs",
            "id execution_id action_id action_order action_type status executed_at completed_at result_data"
            " error_message skip_reason",
        ),
    ],
)
def test_the_client_s_columns_keep_their_names(connection: Connection, table: str, columns: str) -> None:
    found = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s", [table]
    ).fetchall()
    assert set(columns.split()) <= {name for (name,) in found}


@pytest.mark.parametrize(
    ("index", "on"),
    [
        ("idx_flows_user_enabled", "auto_engagement_flows USING btree (user_id, is_enabled)"),
        ("idx_flows_priority", "auto_engagement_flows USING btree (user_id, priority) WHERE is_enabled"),
        ("idx_trigger_conditions_flow", "flow_trigger_conditions USING btree (flow_id)"),
        ("idx_flow_actions_flow_order", "flow_actions USING btree (flow_id, action_order)"),
        ("idx_executions_flow", "flow_executions USING btree (flow_id)"),
        ("idx_executions_contact", "flow_executions USING btree (contact_id)"),
        ("idx_executions_user_status", "flow_executions USING btree (user_id, status)"),
        ("idx_executions_triggered_at", "flow_executions USING btree (triggered_at DESC)"),
        ("idx_action_logs_execution", "flow_action_logs USING btree (execution_id, action_order)"),
    ],
)
def test_the_client_s_indexes_exist(connection: Connection, index: str, on: str) -> None:
    row = connection.execute("select indexdef from pg_indexes where indexname = %s", [index]).fetchone()
    assert row is not None
    assert row[0].endswith(on)


@pytest.mark.parametrize(
    ("table", "definition"),
    [
        ("auto_engagement_flows", "PRIMARY KEY (id)"),
        ("auto_engagement_flows", "UNIQUE (user_id, priority) DEFERRABLE"),
        ("auto_engagement_flows", "FOREIGN KEY (user_id) REFERENCES users(id)"),
        ("flow_trigger_conditions", "PRIMARY KEY (id)"),
        (
            "flow_trigger_conditions",
            "FOREIGN KEY (flow_id) REFERENCES auto_engagement_flows(id) ON DELETE CASCADE",
        ),
        ("flow_actions", "PRIMARY KEY (id)"),
        ("flow_actions", "UNIQUE (flow_id, action_order)"),
        ("flow_actions", "CHECK ((action_order > 0))"),
        ("flow_actions", "FOREIGN KEY (flow_id) REFERENCES auto_engagement_flows(id) ON DELETE CASCADE"),
        ("flow_executions", "PRIMARY KEY (id)"),
        ("flow_executions", "FOREIGN KEY (flow_id) REFERENCES auto_engagement_flows(id)"),
        ("flow_executions", "FOREIGN KEY (user_id) REFERENCES users(id)"),
        ("flow_executions", "FOREIGN KEY (contact_id) REFERENCES contacts(id)"),
        ("flow_action_logs", "PRIMARY KEY (id)"),
        ("flow_action_logs", "FOREIGN KEY (execution_id) REFERENCES flow_executions(id)"),
        ("flow_action_logs", "FOREIGN KEY (action_id) REFERENCES flow_actions(id) ON DELETE SET NULL"),
    ],
)
def test_the_client_s_keys_and_checks_exist(connection: Connection, table: str, definition: str) -> None:
    found = connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass", [table]
    ).fetchall()
    assert definition in {text for (text,) in found}


def test_no_foreign_key_cascades_into_history(connection: Connection) -> None:
    found = connection.execute(
        "select conname from pg_constraint where contype = 'f' and confdeltype = 'c'"
        " and conrelid::regclass::text in ('flow_executions', 'flow_action_logs', 'flow_versions', 'flow_assignments')"
    ).fetchall()
    assert found == []


@pytest.mark.parametrize("statement", ["update flow_versions set definition = '{}'", "delete from flow_versions"])
def test_a_flow_version_never_changes(connection: Connection, statement: str) -> None:
    connection.execute(
        "with tenant as (insert into users (name) values ('acme') returning id),"
        " flow as (insert into auto_engagement_flows (user_id, name, priority)"
        " select id, 'Hot', 0 from tenant returning id)"
        " select 1 from flow"
    )
    connection.execute(
        "insert into flow_versions (flow_id, version, definition) select id, 1, '{}' from auto_engagement_flows"
    )
    with pytest.raises(psycopg.errors.RaiseException, match="immutable"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("tags", "is_dnc"),
    [("{}", False), ('{vip," DNC "}', True), ("{Do Not Contact}", True), ("{do-not-contact}", True), ("{dncx}", False)],
)
def test_do_not_contact_is_read_from_the_tags(connection: Connection, tags: str, is_dnc: bool) -> None:
    assert connection.execute("select engage_has_dnc_tag(%s::text[])", [tags]).fetchone() == (is_dnc,)
