"""Thin Dagster resources around the engine: where the database is, and the lease of a run on its micro-batch."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
from pydantic import PrivateAttr

from engage_pipeline.database.connections import Connection, connect, database_url
from engage_pipeline.database.leases import Lease, acquire, kept_alive
from engage_pipeline.masking import mask_personal
from engage_pipeline.settings import Settings, load_settings


class EngageResource(dg.ConfigurableResource[Any]):
    """The installation: its settings and its database."""

    @property
    def settings(self) -> Settings:
        """Environment and defaults of this process."""
        return load_settings()

    @property
    def url(self) -> str:
        """URL of the operational store."""
        return database_url(self.settings)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection, closed at the end."""
        with connect(
            self.url, application_name="engage dagster", idle_seconds=self.settings.lease_seconds
        ) as connection:
            yield connection


class MicroBatchRun(dg.ConfigurableResource[Any]):
    """The micro-batch of one run, leased from its first step to its last. Run config carries ids, never contacts."""

    batch_id: str
    attempt: int

    _lease: Lease | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["MicroBatchRun"]:
        """Hold the lease, with a heartbeat, while the run lasts."""
        del context
        settings = load_settings()
        url = database_url(settings)
        with connect(url) as connection:
            self._lease = acquire(
                connection,
                "micro_batches",
                UUID(self.batch_id),
                attempt=self.attempt,
                lease_seconds=settings.lease_seconds,
            )
        if self._lease is None:
            yield self
            return
        with kept_alive(url, self._lease, lease_seconds=settings.lease_seconds):
            yield self

    @property
    def lease(self) -> Lease | None:
        """The right to write; None when this run was superseded or the batch is done: then there is nothing to do."""
        return self._lease


class EngineFailed(Exception):
    """What the engine raised, without anything personal: Dagster's event log is permanent, and needs no login."""


@contextmanager
def nothing_personal() -> Iterator[None]:
    """Around every engine call of an op, asset or sensor: an exception leaves with its type, its place in our code, and
    text only where that cannot quote a person.

    Names cannot be told from other words, so nothing is left to masking alone. Errors of our own carry ids.
    PostgreSQL's DETAIL and CONTEXT quote whole rows, and of some classes the message quotes a value. Of all other
    exceptions (a KeyError, a validation) nobody knows.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - every exception would be stored, so every one is reduced
        text = f": {_harmless_text(error)}".removesuffix(": ")
        raise EngineFailed(mask_personal(f"{type(error).__name__} at {_place(error)}{text}")) from None


# Connection, integrity, transaction, rollback, names and syntax, resources, limits, intervention, system: their
# messages name tables, columns and constraints. Class 22 (data) and P0 (raised by a function) quote values.
_HARMLESS_CLASSES = frozenset({"08", "23", "25", "40", "42", "53", "54", "55", "57", "58"})


def _harmless_text(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        sqlstate, message = error.sqlstate or "", error.diag.message_primary
        if not sqlstate and isinstance(error, psycopg.OperationalError):
            return str(error)  # no server was reached: host, port and reason
        return f"{sqlstate}: {message}" if message and sqlstate[:2] in _HARMLESS_CLASSES else sqlstate
    is_ours = type(error).__module__.partition(".")[0] == __name__.partition(".")[0]
    return str(error) if is_ours else ""


def _place(error: Exception) -> str:
    """File and line of the innermost call that is ours; what lies below is a library's."""
    calls = list(traceback.walk_tb(error.__traceback__))
    ours = [call for call in calls if str(call[0].f_globals.get("__name__")).partition(".")[0] in _OUR_PACKAGES]
    frame, line_number = (ours or calls)[-1]
    return f"{frame.f_code.co_filename}:{line_number}"


_OUR_PACKAGES = frozenset({"assets", "engage_pipeline", "sensors"})
