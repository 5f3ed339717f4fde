"""Tenants by name: the inbox's folders and the command line name them, every table keys on their id."""

from dataclasses import dataclass
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.errors import NoTenant


@dataclass(frozen=True)
class Tenant:
    """One row of `users`."""

    user_id: UUID
    name: str
    default_phone_region: str
    time_zone: str


def find_tenant(connection: Connection, name: str) -> Tenant:
    """The tenant of that name.

    Raises:
        NoTenant: nobody has applied a flow for it yet.
    """
    row = connection.execute(
        "select id, name, default_phone_region, time_zone from users where name = %s", [name]
    ).fetchone()
    if row is None:
        known = connection.execute("select name from users order by name").fetchall()
        raise NoTenant(name, known=[name for (name,) in known])
    return Tenant(*row)


def ensure_tenant(
    connection: Connection, name: str, *, default_phone_region: str | None = None, time_zone: str | None = None
) -> Tenant:
    """The tenant of that name, made if need be; what is given here overwrites what it had."""
    connection.execute(
        "insert into users (name, default_phone_region, time_zone)"
        " values (%(name)s, coalesce(%(region)s, 'US'), coalesce(%(zone)s, 'UTC'))"
        " on conflict (name) do update set"
        " default_phone_region = coalesce(%(region)s, users.default_phone_region),"
        " time_zone = coalesce(%(zone)s, users.time_zone)",
        {"name": name, "region": default_phone_region, "zone": time_zone},
    )
    return find_tenant(connection, name)


def list_tenants(connection: Connection) -> list[Tenant]:
    """All tenants, by name."""
    rows = connection.execute("select id, name, default_phone_region, time_zone from users order by name").fetchall()
    return [Tenant(*row) for row in rows]
