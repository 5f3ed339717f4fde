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
        with connect(self.url, application_name="engage dagster") as connection:
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
    """Around every engine call of an op, asset or sensor: an exception leaves with its type, place and masked text.

    PostgreSQL's DETAIL and CONTEXT quote whole rows, so of its errors only the code and the primary message pass.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - every exception would be stored, so every one is masked
        text = str(error)
        if isinstance(error, psycopg.Error) and error.diag.message_primary:
            text = f"{error.sqlstate}: {error.diag.message_primary}"
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise EngineFailed(
            mask_personal(f"{type(error).__name__} at {place.filename}:{place.lineno}: {text}")
        ) from None
