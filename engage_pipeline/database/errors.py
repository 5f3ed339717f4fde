"""What can be wrong with the database in a way that a person can mend."""

from pathlib import Path

from engage_pipeline.errors import EngageError


class WrongServerVersion(EngageError):
    """The data directory was made by another major version of PostgreSQL."""

    code = "wrong-server-version"

    def __init__(self, data_directory: Path, *, found: str, wanted: int) -> None:
        super().__init__(
            what=f"the embedded PostgreSQL cannot open {data_directory}",
            why=f"it was made by PostgreSQL {found}, and this installation carries {wanted}",
            fix="move the directory away to start empty, or restore a dump (docs/operations.md, Backup and restore)",
        )


class ServerDidNotStart(EngageError):
    """The embedded server did not come up."""

    code = "server-did-not-start"

    def __init__(self, data_directory: Path, *, reason: str) -> None:
        super().__init__(
            what=f"the embedded PostgreSQL in {data_directory} did not start",
            why=reason,
            fix=f"read {data_directory / 'log'}, or set ENGAGE_DATABASE_URL to a server of your own",
        )


class NoTenant(EngageError):
    """A tenant was named that does not exist."""

    code = "no-tenant"

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(
            what=f"there is no tenant {name!r}",
            why="a tenant exists from the first `engage flows apply` that names it",
            fix=f"use one of: {', '.join(known)}" if known else "run `engage flows apply flows/` first",
        )


class LegalHoursNeeded(EngageError):
    """A tenant that reaches real people cannot do without the legal hours."""

    code = "legal-hours-needed"

    def __init__(self, name: str) -> None:
        super().__init__(
            what=f"the legal hours of {name!r} were not lifted",
            why="the tenant has a live account, which reaches real people",
            fix="take `legal_hours: false` out of its flow files; a sandbox tenant may have it",
        )


class DatabaseUnreachable(EngageError):
    """Nothing answers at the database's address, or it refuses the connection."""

    code = "database-unreachable"

    def __init__(self, *, reason: str) -> None:
        super().__init__(
            what="the database cannot be reached",
            why=reason,
            fix="check ENGAGE_DATABASE_URL, or unset it to use the embedded server",
        )


class SchemaMissing(EngageError):
    """The database lacks a table or column that this version needs."""

    code = "schema-missing"

    def __init__(self, *, reason: str) -> None:
        super().__init__(
            what="the database does not have the schema of this version", why=reason, fix="run `engage db migrate`"
        )


class UnsafeApiRole(EngageError):
    """The API would connect as a role for which row-level security does not hold."""

    code = "unsafe-api-role"

    def __init__(self, role: str, *, reason: str) -> None:
        super().__init__(
            what=f"the API does not start as the role {role!r}",
            why=f"it {reason}, so PostgreSQL would not keep tenants apart",
            fix="let ENGAGE_API_DATABASE_URL name the role engage_api, which `engage db migrate` makes",
        )


class LeaseLost(Exception):
    """Another attempt owns the work now; this one must write nothing more. Nothing to mend: the newer one goes on."""
