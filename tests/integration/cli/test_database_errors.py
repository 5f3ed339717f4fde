"""A database that is not there, or not migrated, is said in one sentence with its mending."""

import subprocess
import sys

import psycopg
import pytest

from engage_pipeline.settings import PROJECT_ROOT


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engage_pipeline.cli", *arguments],
        cwd=PROJECT_ROOT,
        env={"ENGAGE_DATABASE_URL": url, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_database_that_does_not_answer_is_named_with_the_setting():
    result = run("postgresql://nobody@127.0.0.1:1/nowhere", "uploads", "list")
    assert result.returncode == 1
    assert result.stderr.startswith("database-unreachable")
    assert "ENGAGE_DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [("uploads", "list"), ("batches", "list"), ("flows", "list")])
def test_a_database_without_the_schema_is_sent_to_the_migration(command, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    result = run(database, *command)
    assert result.returncode == 1
    assert result.stderr.startswith("schema-missing")
    assert "engage db migrate" in result.stderr
