"""How this process reaches PostgreSQL: the URL, psycopg connections, and Arrow connections for bulk."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.rows import TupleRow

from engage_pipeline.database import embedded
from engage_pipeline.settings import Settings

Connection = psycopg.Connection[TupleRow]

DAGSTER_SCHEMA = "dagster"

IDLE_SECONDS = 60
"""How long a transaction may wait for its client. Of a process that is frozen, or whose machine is gone, the server
would keep the locks for ever, and one of them may be on the budget of a whole channel."""


def database_url(settings: Settings) -> str:
    """The `postgresql://` URL of the operational store; starts the embedded server when no URL is set."""
    if settings.database_url:
        return settings.database_url
    return embedded.start(settings.home)


def dagster_database_url(url: str) -> str:
    """The URL for Dagster's own storage: the same database, a schema of its own.

    The driver is named because SQLAlchemy 2.1 takes a bare `postgresql://` to mean psycopg 3, which dagster-postgres
    cannot use.
    """
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query), ("options", f"-csearch_path={DAGSTER_SCHEMA}")]
    return urlunsplit(parts._replace(scheme="postgresql+psycopg2", query=urlencode(query, quote_via=quote)))


def sqlalchemy_url(url: str) -> str:
    """The URL for SQLAlchemy and Alembic, over psycopg 3."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg"))


def session_options(*, idle_seconds: float = IDLE_SECONDS) -> str:
    """What every session of ours sets, as libpq's `options`."""
    return f"-c TimeZone=UTC -c idle_in_transaction_session_timeout={round(idle_seconds * 1000)}"


@contextmanager
def connect(url: str, *, application_name: str = "engage", idle_seconds: float = IDLE_SECONDS) -> Iterator[Connection]:
    """A psycopg connection, closed at the end; each `with connection.transaction()` is one commit, UTC throughout.

    Args:
        idle_seconds: how long a transaction may wait for its next statement before the server ends it.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        application_name=application_name,
        options=session_options(idle_seconds=idle_seconds),
        connect_timeout=10,
    )
    try:
        yield connection
    finally:
        connection.close()
