"""The API's way into the database, and the one place where a request is confined to its tenant.

A session is one transaction as the role `engage_api` in which the tenant is named. The engine's functions get the
tenant's id from it as their filter; were one without, row-level security still shows nothing of another tenant.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Literal
from psycopg_pool import ConnectionPool

from engage_pipeline.api.errors import ApiRoleUnreachable, NoSuchTenant
from engage_pipeline.database.api_role import refuse_unsafe_role, tenant_url
from engage_pipeline.database.connections import Connection, connect, session_options
from engage_pipeline.database.tenants import Tenant, tenant_of_id

_POOL_WAITS_SECONDS = 5


@dataclass(frozen=True)
class Session:
    """One transaction of one tenant."""

    connection: Connection
    user_id: UUID
    _url: str = field(repr=False)
    _statement_seconds: float

    @property
    def url(self) -> str:
        """For readers that open a connection of their own: it names the tenant, too."""
        return tenant_url(self._url, self.user_id, statement_seconds=self._statement_seconds)

    @cached_property
    def tenant(self) -> Tenant:
        """The tenant's row.

        Raises:
            NoSuchTenant: the token names one that does not exist.
        """
        found = tenant_of_id(self.connection, self.user_id)
        if found is None:
            raise NoSuchTenant
        return found


class TenantDatabase:
    """Connections of the role `engage_api`, lent to one transaction after another."""

    def __init__(self, url: str, *, connections: int, statement_seconds: float) -> None:
        self._url, self._statement_seconds = url, statement_seconds
        # A request looks up some rows among many, most of them in memory: an index is right more often than the
        # server's own setting, made for disks that turn, makes it look.
        options = f"{session_options()} -c statement_timeout={round(statement_seconds * 1000)} -c random_page_cost=1.1"
        self.pool = ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=_POOL_WAITS_SECONDS,
            open=False,
            name="api",
            kwargs={"autocommit": True, "application_name": "engage api", "options": options, "connect_timeout": 5},
        )

    def open(self) -> None:
        """Connect, and make sure that PostgreSQL will keep tenants apart.

        Raises:
            UnsafeApiRole: it would not.
            ApiRoleUnreachable: there is no connecting.
        """
        try:
            with connect(self._url, application_name="engage api") as connection:
                refuse_unsafe_role(connection)
        except psycopg.OperationalError as error:
            raise ApiRoleUnreachable(reason=str(error).strip().splitlines()[0]) from error
        self.pool.open()

    def close(self) -> None:
        """Close every connection."""
        self.pool.close()

    @contextmanager
    def session(self, user_id: UUID, *, read_only: bool = False) -> Iterator[Session]:
        """One transaction of the tenant, committed at the end and rolled back after an error, both by the pool."""
        with self.pool.connection() as connection:
            # One round trip for both, which only text without parameters can have, and only while it is not prepared.
            connection.execute(
                SQL("begin {}; select set_config('engage.tenant', {}, true)").format(
                    SQL("read only" if read_only else "read write"), Literal(str(user_id))
                ),
                prepare=False,
            )
            yield Session(connection, user_id, self._url, self._statement_seconds)
