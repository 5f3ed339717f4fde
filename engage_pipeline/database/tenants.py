"""Tenants by name: the inbox's folders and the command line name them, every table keys on their id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.errors import LegalHoursNeeded, NoTenant


@dataclass(frozen=True)
class Tenant:
    """One row of `users`. `business_hours` are those of flows that have none of their own, as JSON; None is any time.

    `legal_hours` false lifts the legal calling hours, which holds for a tenant without a live account only.
    """

    user_id: UUID
    name: str
    default_phone_region: str
    time_zone: str
    business_hours: Mapping[str, Any] | None = None
    legal_hours: bool = True


_COLUMNS = "id, name, default_phone_region, time_zone, business_hours, legal_hours"


def find_tenant(connection: Connection, name: str) -> Tenant:
    """The tenant of that name.

    Raises:
        NoTenant: nobody has applied a flow for it yet.
    """
    row = connection.execute(f"select {_COLUMNS} from users where name = %s", [name]).fetchone()  # noqa: S608
    if row is None:
        known = connection.execute("select name from users order by name").fetchall()
        raise NoTenant(name, known=[name for (name,) in known])
    return Tenant(*row)


def tenant_of_id(connection: Connection, user_id: UUID) -> Tenant | None:
    """The tenant of that id; None when there is none."""
    row = connection.execute(f"select {_COLUMNS} from users where id = %s", [user_id]).fetchone()  # noqa: S608
    return None if row is None else Tenant(*row)


def ensure_tenant(
    connection: Connection,
    name: str,
    *,
    default_phone_region: str | None = None,
    time_zone: str | None = None,
    business_hours: Mapping[str, Any] | None = None,
    legal_hours: bool | None = None,
) -> Tenant:
    """The tenant of that name, made if need be; what is given here overwrites what it had.

    Raises:
        LegalHoursNeeded: they would be lifted, and the tenant has a live account.
    """
    with connection.transaction():
        _write_tenant(connection, name, default_phone_region, time_zone, business_hours, legal_hours)
        if legal_hours is False and _is_live(connection, name):
            raise LegalHoursNeeded(name)
    return find_tenant(connection, name)


def _is_live(connection: Connection, name: str) -> bool:
    live = connection.execute(
        "select 1 from channel_accounts as accounts inner join users on users.id = accounts.user_id"
        " where users.name = %s and accounts.mode = 'live' limit 1",
        [name],
    ).fetchone()
    return live is not None


def _write_tenant(
    connection: Connection,
    name: str,
    default_phone_region: str | None,
    time_zone: str | None,
    business_hours: Mapping[str, Any] | None,
    legal_hours: bool | None,
) -> None:
    connection.execute(
        "insert into users (name, default_phone_region, time_zone, business_hours, legal_hours)"
        " values (%(name)s, coalesce(%(region)s, 'US'), coalesce(%(zone)s, 'UTC'), %(hours)s,"
        " coalesce(%(legal)s, true))"
        " on conflict (name) do update set"
        " default_phone_region = coalesce(%(region)s, users.default_phone_region),"
        " time_zone = coalesce(%(zone)s, users.time_zone),"
        " business_hours = coalesce(%(hours)s, users.business_hours),"
        " legal_hours = coalesce(%(legal)s, users.legal_hours)",
        {
            "name": name,
            "region": default_phone_region,
            "zone": time_zone,
            "hours": None if business_hours is None else Jsonb(business_hours),
            "legal": legal_hours,
        },
    )


def list_tenants(connection: Connection) -> list[Tenant]:
    """All tenants, by name."""
    rows = connection.execute(f"select {_COLUMNS} from users order by name").fetchall()  # noqa: S608
    return [Tenant(*row) for row in rows]


def decide(
    connection: Connection, user_id: UUID, *, reject_threshold: float | None = None, leaves_known: bool | None = None
) -> None:
    """Change what a tenant has decided about uploads; None leaves it as it is."""
    connection.execute(
        "update users set reject_threshold = coalesce(%s, reject_threshold),"
        " known_contacts = coalesce(%s, known_contacts) where id = %s",
        [reject_threshold, None if leaves_known is None else ("leave" if leaves_known else "update"), user_id],
    )


def decisions(connection: Connection) -> list[dict[str, Any]]:
    """Every tenant by name, with what it has decided about uploads."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select name, default_phone_region, time_zone, reject_threshold::float8 as reject_threshold, known_contacts"
            " from users order by name"
        ).fetchall()
