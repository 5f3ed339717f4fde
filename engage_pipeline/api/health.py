"""Whether the installation is well: its database, the schema that this version needs, and Dagster's daemon."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.migrate import SCRIPTS

_DAEMON_MAY_BE_SILENT = timedelta(minutes=2)
"""Dagster's daemon writes every half minute."""
_FRESH_SECONDS = 2.0


@dataclass(frozen=True)
class Health:
    """What was found; None is well, and words say what is not."""

    database: str | None = None
    migrations: str | None = None
    daemon: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether everything is well."""
        return not (self.database or self.migrations or self.daemon)


class HealthCheck:
    """Looks at most every two seconds, however often it is asked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._found: Health | None = None
        self._found_at = 0.0

    def look(self, *, now: datetime) -> Health:
        """How the installation is."""
        with self._lock:
            if self._found is None or time.monotonic() - self._found_at > _FRESH_SECONDS:
                self._found = _look(self._url, now=now)
                self._found_at = time.monotonic()
            return self._found


def _look(url: str, *, now: datetime) -> Health:
    try:
        with connect(url, application_name="engage health") as connection:
            return Health(None, _migrations(connection), _daemon(connection, now=now))
    except psycopg.OperationalError:
        return Health("it cannot be reached", "unknown", "unknown")


def _migrations(connection: Connection) -> str | None:
    try:
        row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return "the database has no schema; run `engage db migrate`"
    found = row[0] if row else "none"
    return None if found == _newest() else f"at {found} instead of {_newest()}; run `engage db migrate`"


def _daemon(connection: Connection, *, now: datetime) -> str | None:
    try:
        row = connection.execute("select max(timestamp) from dagster.daemon_heartbeats").fetchone()
    except psycopg.errors.UndefinedTable:
        return "Dagster has never run here"
    last: datetime | None = row[0] if row else None
    if last is None:
        return "no daemon has reported yet"
    silent = now.replace(tzinfo=None) - last
    return None if silent < _DAEMON_MAY_BE_SILENT else f"silent for {round(silent.total_seconds())} seconds"


@cache
def _newest() -> str:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return str(ScriptDirectory.from_config(config).get_current_head())
