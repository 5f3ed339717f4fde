"""Fixtures that every test shares: a real embedded PostgreSQL, one database a test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from engage_pipeline.database import embedded
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.migrate import migrate

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the test run, with a migrated template database.

    Not below pytest's own temporary folder: a second pytest makes that private again, and as root the server runs as
    another user.
    """
    home = Path(tempfile.mkdtemp(prefix="engage-tests-"))
    home.chmod(0o755)
    url = embedded.start(home)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
        connection.execute("create database template_engage")
    migrate(_with_database(url, "template_engage"))
    yield url
    embedded.stop(home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def _clean_databases(server_url: str) -> list[str]:
    """Migrated, empty databases that an earlier test has left as it found them."""
    return []


@pytest.fixture
def database(server_url: str, _clean_databases: list[str]) -> Iterator[str]:
    """URL of a migrated, empty database of the test's own.

    Copying a database costs more than most tests do, so one is emptied and used again unless a test changed more than
    its rows.
    """
    if not _clean_databases:
        _clean_databases.append(f"test_{uuid4().hex}")
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"create database {_clean_databases[-1]} template template_engage")
    name = _clean_databases.pop()
    url = _with_database(server_url, name)
    yield url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        if _schema(url) == _schema(_with_database(server_url, "template_engage")):
            _empty(url)
            _clean_databases.append(name)
        else:
            connection.execute(f"drop database {name} with (force)")


def _schema(url: str) -> list[tuple[object, ...]]:
    """Everything that a test could have made, changed or dropped besides rows."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select 'class', count(*), max(oid::bigint) from pg_class where relpersistence <> 't'"
            " union all select 'constraint', count(*), max(oid::bigint) from pg_constraint"
            " union all select 'trigger', count(*), max(oid::bigint) + sum(ascii(tgenabled)) from pg_trigger"
            " union all select 'function', count(*), max(xmin::text::bigint) from pg_proc where oid >= 16384"
            " union all select 'column', count(*), null from pg_attribute where attrelid >= 16384 and not attisdropped"
            " union all select 'setting', count(*), null from pg_db_role_setting where setdatabase = 0"
        ).fetchall()


def _empty(url: str) -> None:
    with psycopg.connect(url) as connection:
        # Neither foreign keys nor triggers run, among them the one that keeps versions of flows from being deleted.
        connection.execute("set local session_replication_role = replica")
        tables = connection.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
            " and relname <> 'alembic_version'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """An open connection to the test's own database."""
    with connect(database) as open_connection:
        yield open_connection


@pytest.fixture
def shared_folder() -> Path:
    """Real lead files and provider specifications, which do not belong to the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder with real lead files and provider specifications is not here")
    return SHARED


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ENGAGE_")]:
        monkeypatch.delenv(name)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
