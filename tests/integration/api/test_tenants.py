"""A token of one tenant sees nothing of another: by the API's own filter, and by PostgreSQL when that is gone."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from engage_pipeline.api import sessions
from engage_pipeline.database.api_role import API_ROLE, GRANTS, api_url, refuse_unsafe_role
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.errors import UnsafeApiRole
from engage_pipeline.database.tables import metadata
from tests.integration.api.conftest import Api
from tests.integration.api.world import Theirs, bodies, make_theirs

METHODS = ("get", "post", "put", "patch", "delete")


def operations(api: Api) -> list[tuple[str, str]]:
    """Every (method, path) that the OpenAPI document has."""
    paths = api.client.get("/api/openapi.json").json()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods if method in METHODS]


def asked(api: Api, theirs: Theirs, method: str, path: str) -> Any:
    """The endpoint with another tenant's ids, and a body that would be right for them."""
    return api.call(method.upper(), path.format(**theirs.ids), **bodies(theirs).get((method, path), {}))


def test_every_endpoint_with_another_tenants_ids_finds_nothing(api: Api):
    theirs = make_theirs(api)
    with_ids = [
        (method, path)
        for method, path in operations(api)
        if "{" in path and path not in theirs.of_no_tenant and (method, path) not in theirs.makes
    ]
    assert len(with_ids) >= 20
    for method, path in with_ids:
        answer = asked(api, theirs, method, path)
        assert answer.status_code == 404, (method, path, answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert theirs.snapshot() == theirs.before


def test_the_same_ids_are_found_with_the_tenants_own_token(api: Api):
    theirs = make_theirs(api)
    for method, path in operations(api):
        if method == "get" and "{" in path and path not in theirs.of_no_tenant:
            answer = api.get(path.format(**theirs.ids), tenant="other", **theirs.needs.get(path, {}))
            assert answer.status_code in (200, *theirs.empty.get(path, ())), (path, answer.text)


def test_no_list_shows_anything_of_another_tenant(api: Api):
    theirs = make_theirs(api)
    words = theirs.words
    for method, path in operations(api):
        if method == "get" and "{" not in path:
            answer = api.get(path)
            assert not [word for word in words if word in answer.text], path


@pytest.fixture
def without_filter(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theirs]:
    """The API asks for the rows of another tenant than its token's: nothing but PostgreSQL is in the way."""
    theirs = make_theirs(api)
    true_session = sessions.Session
    monkeypatch.setattr(
        sessions, "Session", lambda connection, user_id, *rest: true_session(connection, theirs.user_id, *rest)
    )
    yield theirs


def test_without_the_applications_filter_postgresql_still_shows_nothing(api: Api, without_filter: Theirs):
    for method, path in operations(api):
        if path in without_filter.of_no_tenant or path == "/api/health":
            continue
        answer = asked(api, without_filter, method, path)
        assert answer.status_code < 500, (method, path, answer.text)
        # A refusal repeats the id that was asked for.
        new_words = [word for word in without_filter.words if word not in str(answer.request.url)]
        if method == "get":
            assert not [word for word in new_words if word in answer.text], (method, path)
        if "{" in path and (method, path) not in without_filter.makes:
            assert answer.status_code in (403, 404), (method, path, answer.status_code)
    assert without_filter.snapshot() == without_filter.before


@pytest.fixture
def as_role(database: str) -> Iterator[Connection]:
    """A connection as the API's role."""
    with connect(api_url(database)) as connection:
        yield connection


def test_the_role_is_no_superuser_passes_no_row_security_and_owns_nothing(as_role: Connection, connection: Connection):
    row = connection.execute(
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = %s", [API_ROLE]
    ).fetchone()
    assert row == (False, False, False, False)
    owned = connection.execute("select count(*) from pg_class where relowner = %s::regrole", [API_ROLE]).fetchone()
    assert owned == (0,)
    refuse_unsafe_role(as_role)
    with pytest.raises(UnsafeApiRole, match="is a superuser"):
        refuse_unsafe_role(connection)


def test_every_table_has_row_security_and_the_role_reaches_no_other(connection: Connection):
    secured = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity"
    ).fetchall()
    assert {name for (name,) in secured} == set(metadata.tables)
    reached = connection.execute(
        "select distinct table_name from information_schema.role_table_grants where grantee = %s"
        " union select table_name from information_schema.column_privileges where grantee = %s",
        [API_ROLE, API_ROLE],
    ).fetchall()
    assert {name for (name,) in reached} == set(GRANTS)


def test_a_transaction_that_named_no_tenant_sees_nothing(api: Api, as_role: Connection):
    make_theirs(api)
    for table, rights in GRANTS.items():
        if rights.get("select") == ():
            assert as_role.execute(f"select count(*) from {table}").fetchone() == (0,), table


def test_a_named_tenant_sees_its_rows_and_the_name_ends_with_the_transaction(api: Api, as_role: Connection):
    theirs = make_theirs(api)
    for table, rights in GRANTS.items():
        if rights.get("select") != ():
            continue
        with as_role.transaction():
            as_role.execute("select set_config('engage.tenant', %s, true)", [str(theirs.user_id)])
            seen = as_role.execute(f"select count(*) from {table}").fetchone()
        assert seen == theirs.row_count(table), table
        assert as_role.execute(f"select count(*) from {table}").fetchone() == (0,), table


def test_a_row_of_another_tenant_cannot_be_written(api: Api, as_role: Connection):
    theirs = make_theirs(api)
    mine = api.tenant("acme").user_id
    written = (
        "insert into contacts (user_id, email, entry_type) values (%(theirs)s, 'x@example.com', 'api')",
        "insert into suppressions (user_id, channel, address, source)"
        " values (%(theirs)s, 'email', 'x@example.com', 'x')",
        "insert into pauses (user_id, reason) values (%(theirs)s, 'x')",
        "insert into pauses (reason) values ('x')",
        "insert into flow_versions (flow_id, version, definition) values (%(flow)s, 99, '{}')",
    )
    for statement in written:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role.transaction():
            as_role.execute("select set_config('engage.tenant', %s, true)", [str(mine)])
            as_role.execute(statement, {"theirs": theirs.user_id, "flow": theirs.ids["flow_id"]})
    with as_role.transaction():
        as_role.execute("select set_config('engage.tenant', %s, true)", [str(mine)])
        for table in ("contacts", "flow_executions", "flow_action_logs", "auto_engagement_flows"):
            assert as_role.execute(f"update {table} set updated_at = now()").rowcount == 0


def test_the_owner_sees_every_tenant_as_before(api: Api, connection: Connection):
    make_theirs(api)
    api.new_flow()
    assert connection.execute("select count(distinct user_id) from auto_engagement_flows").fetchone() == (2,)
    plan = connection.execute("explain select * from contacts where id = %s", [uuid4()]).fetchall()
    assert not any("engage_tenant" in line for (line,) in plan)
