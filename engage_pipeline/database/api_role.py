"""The role that the API connects as: no superuser, past no row-level security, owner of nothing, and what it may do.

Row-level security, which the migrations lay on every tenant's table, shows it the rows of the tenant that its
transaction named, and no others. The owner of the tables, as which everything else connects, is not subject to it.
"""

import logging
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import psycopg
from psycopg import sql

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.errors import UnsafeApiRole

logger = logging.getLogger(__name__)

API_ROLE = "engage_api"

GRANTS: dict[str, dict[str, tuple[str, ...]]] = {
    # Whoever locks a row must be allowed to update something of it.
    "users": {"select": (), "update": ("reject_threshold", "known_contacts")},
    "auto_engagement_flows": {"select": (), "insert": (), "update": ()},
    "flow_versions": {"select": (), "insert": ()},
    "flow_trigger_conditions": {"select": (), "insert": (), "delete": ()},
    "flow_actions": {"select": (), "insert": (), "update": (), "delete": ()},
    "contacts": {"select": (), "insert": (), "update": ()},
    "suppressions": {"select": (), "insert": ()},
    "lead_uploads": {"select": (), "insert": (), "update": ()},
    "rejected_rows": {"select": (), "insert": (), "delete": ()},
    "flow_assignments": {"select": ()},
    "flow_executions": {"select": (), "insert": (), "update": ()},
    "flow_action_logs": {"select": (), "insert": (), "update": ()},
    "micro_batches": {
        "select": (),
        "insert": (),
        "update": ("status", "attempt", "lapse_count", "attempt_requested_at"),
    },
    "pauses": {"select": (), "insert": (), "delete": ()},
    "message_templates": {"select": (), "insert": ()},
    # A changed template is no longer the one that was refused.
    "stopped_templates": {"select": (), "delete": ()},
    "channel_accounts": {
        "select": ("id", "user_id", "channel", "provider", "mode", "is_active", "paused_reason", "paused_at")
    },
    "idempotency_keys": {"select": (), "insert": (), "update": (), "delete": ()},
    # Written by the triggers that follow deletes.
    "deleted_rows": {"insert": ()},
}
"""Table -> what the role may do there, within the rows of its tenant -> with which columns; none named: with all."""


def api_url(url: str) -> str:
    """The URL of the same database for the API's role, without a password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{API_ROLE}@{place}"))


def tenant_url(url: str, user_id: UUID, *, statement_seconds: float) -> str:
    """`url` such that every connection to it has named the tenant, for readers that open one of their own.

    Args:
        statement_seconds: the longest that a statement may take there.
    """
    parts = urlsplit(url)
    settings = f"-c engage.tenant={user_id} -c statement_timeout={round(statement_seconds * 1000)}"
    option = f"options={quote(settings)}"
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, option)))))


def ensure_api_role(connection: Connection) -> None:
    """Make the role where it is missing and give it what `GRANTS` says, nothing more.

    Not a part of the migrations, as a role belongs to the server and not to a database: a dump does not have it. Where
    the owner may not make roles, it is left to whoever runs the server.
    """
    with connection.transaction():
        if not _exists(connection):
            try:
                with connection.transaction():
                    connection.execute(
                        sql.SQL(
                            "create role {} login nosuperuser nobypassrls nocreatedb nocreaterole noreplication"
                        ).format(sql.Identifier(API_ROLE))
                    )
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                # Another process made it in this very moment.
                pass
            except psycopg.errors.InsufficientPrivilege:
                logger.warning("the role %s is missing, and this one may not make it; the API needs it", API_ROLE)
                return
        # What is right stays untouched: a grant makes every other process plan its statements anew.
        if _given(connection) != _wanted():
            _grant(connection)


def refuse_unsafe_role(connection: Connection) -> None:
    """Make sure that row-level security holds for the role of this connection.

    Raises:
        UnsafeApiRole: it is a superuser, may pass row-level security, or owns a table.
    """
    row = connection.execute(
        "select current_user, rolsuper, rolbypassrls, exists (select from pg_class inner join pg_namespace"
        " on pg_namespace.oid = relnamespace where relkind in ('r', 'p') and nspname = 'public'"
        " and pg_has_role(relowner, 'usage')) from pg_roles where rolname = current_user"
    ).fetchone()
    assert row is not None  # noqa: S101 - whoever is connected has a role
    name, is_superuser, passes, owns = row
    wrong = {"is a superuser": is_superuser, "may pass row-level security": passes, "owns tables": owns}
    if any(wrong.values()):
        raise UnsafeApiRole(name, reason=" and ".join(words for words, holds in wrong.items() if holds))


def _wanted() -> set[tuple[str, str | None, str]]:
    return {
        (table, column, right)
        for table, rights in GRANTS.items()
        for right, columns in rights.items()
        for column in columns or (None,)
    }


def _given(connection: Connection) -> set[tuple[str, str | None, str]]:
    """(table, column, right); without a column for the whole table."""
    rows = connection.execute(
        "with tables as (select oid, relname, relacl from pg_class where relnamespace = 'public'::regnamespace)"
        " select relname, null, lower(privilege_type) from tables, aclexplode(relacl)"
        " where grantee = %(role)s::regrole"
        " union all select relname, attname, lower(privilege_type) from tables"
        " inner join pg_attribute on attrelid = tables.oid, aclexplode(attacl) where grantee = %(role)s::regrole",
        {"role": API_ROLE},
    ).fetchall()
    return set(rows)


def _grant(connection: Connection) -> None:
    role = sql.Identifier(API_ROLE)
    connection.execute(sql.SQL("revoke all on all tables in schema public from {}").format(role))
    for table, rights in GRANTS.items():
        for right, columns in rights.items():
            listed = sql.SQL(", ").join(map(sql.Identifier, columns))
            connection.execute(
                sql.SQL("grant {} {} on {} to {}").format(
                    sql.SQL(right),
                    sql.SQL("({})").format(listed) if columns else sql.SQL(""),
                    sql.Identifier(table),
                    role,
                )
            )


def _exists(connection: Connection) -> bool:
    return connection.execute("select from pg_roles where rolname = %s", [API_ROLE]).fetchone() is not None
