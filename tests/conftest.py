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


@pytest.fixture
def database(server_url: str) -> Iterator[str]:
    """URL of a migrated, empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template template_engage")
    yield _with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


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
