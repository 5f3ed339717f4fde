"""`engage api` and `engage token create`: what they need, and what they say when it is not there."""

import pytest
from typer.testing import CliRunner

from engage_pipeline.api.errors import ApiRoleUnreachable, JwtKeyMissing
from engage_pipeline.api.serve import serve
from engage_pipeline.api.tokens import TokenVerifier
from engage_pipeline.cli.app import app
from engage_pipeline.database.errors import NoTenant, UnsafeApiRole
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.settings import Settings, load_settings
from tests.integration.api.conftest import SECRET


@pytest.fixture
def run(database, monkeypatch, tmp_path):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path))
    load_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    load_settings.cache_clear()


def test_a_created_token_is_the_tenants_and_of_the_role(run, connection, monkeypatch, tmp_path):
    tenant = ensure_tenant(connection, "acme")
    monkeypatch.setenv("ENGAGE_JWT_SECRET", SECRET)
    done = run("token", "create", "--tenant", "acme", "--role", "editor", "--days", "7")
    assert done.exit_code == 0, done.output
    found = TokenVerifier(Settings(home=tmp_path, jwt_secret=SECRET)).verify(done.stdout.strip())
    assert (found.user_id, found.role, found.subject) == (tenant.user_id, "editor", "command line")


def test_without_a_secret_neither_command_works(run, connection, database, tmp_path):
    ensure_tenant(connection, "demo")
    assert isinstance(run("token", "create").exception, JwtKeyMissing)
    assert isinstance(run("api").exception, JwtKeyMissing)
    assert not (tmp_path / "jwt.secret").exists()


def test_a_token_is_of_a_tenant_that_exists(run, monkeypatch):
    monkeypatch.setenv("ENGAGE_JWT_SECRET", SECRET)
    assert isinstance(run("token", "create", "--tenant", "nobody").exception, NoTenant)


def test_the_api_does_not_start_as_a_role_that_passes_row_security(database, tmp_path):
    settings = Settings(home=tmp_path, database_url=database, api_database_url=database, jwt_secret=SECRET)
    with pytest.raises(UnsafeApiRole, match="superuser"):
        serve(settings)


def test_the_api_says_when_its_role_is_not_let_in(database, tmp_path):
    elsewhere = database.replace("postgres:@", "nobody_at_all@")
    settings = Settings(home=tmp_path, database_url=database, api_database_url=elsewhere, jwt_secret=SECRET)
    with pytest.raises(ApiRoleUnreachable, match="nobody_at_all"):
        serve(settings)
