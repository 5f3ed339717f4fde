"""Brings a database to the schema this code expects."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

from engage_pipeline.database.api_role import ensure_api_role
from engage_pipeline.database.connections import DAGSTER_SCHEMA, sqlalchemy_url

SCRIPTS = Path(__file__).parent / "migrations"
# Any constant will do, as long as every migrating process uses the same.
_MIGRATION_LOCK = 7_306_001


def migrate(url: str, *, revision: str = "head") -> None:
    """Upgrade (or, for an older revision than the present one, downgrade) the schema in one transaction.

    Several processes may ask at once: an advisory lock lets them in one after another. An upgrade also makes the role
    of the API and gives it its rights.
    """
    with psycopg.connect(url, autocommit=True) as guard:
        guard.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        guard.execute(f"create schema if not exists {DAGSTER_SCHEMA}")
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if revision == "base" else command.upgrade)(config, revision)
        if revision == "head":
            ensure_api_role(guard)
