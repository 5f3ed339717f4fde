"""`engage accounts`: what an account needs, how one becomes live, and what is shown of it."""

import json

import pytest
from typer.testing import CliRunner

from engage_pipeline.accounts.errors import InvalidAccount, NoAccount
from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import open_channels
from engage_pipeline.accounts.store import add_account, ensure_sandbox_accounts, list_accounts, rotate_token
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.cli.app import app
from engage_pipeline.database.errors import LegalHoursNeeded
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.plan import plan_tenants
from engage_pipeline.flows.yaml_file import TenantFlows
from engage_pipeline.settings import Settings, load_settings

SETTINGS = {
    "bolna": {},
    "whatsapp": {"phone_number_id": "106540352242922"},
    "resend": {"sender": "Acme <hello@acme.example>"},
    "sendgrid": {"sender": "Acme <hello@acme.example>"},
    "smtp": {"sender": "hello@acme.example", "host": "mail.acme.example", "port": "587"},
}


@pytest.fixture
def settings(tmp_path, database):
    return Settings(home=tmp_path, database_url=database)


@pytest.fixture
def keyring(settings):
    return Keyring(settings)


@pytest.fixture
def tenant(connection):
    return ensure_tenant(connection, "acme")


@pytest.fixture
def run(settings, monkeypatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ENGAGE_HOME", str(settings.home))
    load_settings.cache_clear()
    yield lambda *arguments, answers="": CliRunner().invoke(app, ["accounts", *arguments], input=answers)
    load_settings.cache_clear()


def credentials_of(provider):
    return {name: f"planted-{name}" for name in PROVIDERS[provider].credentials}


def add(connection, keyring, tenant, provider, *, mode="live", credentials=None, settings=None, **budget):
    return add_account(
        connection,
        keyring,
        tenant.user_id,
        provider,
        mode=mode,
        credentials=credentials_of(provider) if credentials is None else credentials,
        settings=SETTINGS[provider] if settings is None else settings,
        **budget,
    )


def only_active(connection, channel):
    (account,) = [each for each in list_accounts(connection) if (each.channel, each.is_active) == (channel, True)]
    return account


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_live_account_of_every_provider_opens_its_channel_to_its_own_host(
    connection, keyring, tenant, settings, provider
):
    added = add(connection, keyring, tenant, provider)
    account = only_active(connection, PROVIDERS[provider].action_type)
    assert (account.account_id, account.mode, account.provider) == (added.account_id, "live", provider)
    channel = open_channels(connection, settings)[account.channel].accounts[added.account_id]
    if provider == "smtp":
        assert (channel.server.host, channel.server.port, channel.server.is_live) == ("mail.acme.example", 587, True)
    else:
        assert (channel.endpoint.base_url, channel.endpoint.is_live) == (PROVIDERS[provider].live_url, True)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("mode", ["live", "sandbox"])
def test_an_account_is_refused_for_whatever_would_be_noticed_later(connection, keyring, tenant, provider, mode):
    needed = {*PROVIDERS[provider].settings}
    given_by_the_sandbox = {"sender", "phone_number_id"} if mode == "sandbox" else set()
    for missing in needed - given_by_the_sandbox:
        fewer = {name: value for name, value in SETTINGS[provider].items() if name != missing}
        with pytest.raises(InvalidAccount, match=missing):
            add(connection, keyring, tenant, provider, mode=mode, settings=fewer)
    with pytest.raises(InvalidAccount, match="colour"):
        add(connection, keyring, tenant, provider, mode=mode, settings={**SETTINGS[provider], "colour": "red"})
    assert list_accounts(connection) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_live_account_needs_every_credential(connection, keyring, tenant, provider):
    for missing in PROVIDERS[provider].credentials:
        with pytest.raises(InvalidAccount, match=missing):
            add(connection, keyring, tenant, provider, credentials={**credentials_of(provider), missing: " "})


@pytest.mark.parametrize(
    ("provider", "wrong"),
    [
        ("smtp", {"port": "smtp"}),
        ("smtp", {"port": "70000"}),
        ("resend", {"sender": "Acme"}),
        ("resend", {"sender": "Acme <hello@acme.example>\r\nBcc: all@acme.example"}),
        ("bolna", {"allowed_addresses": "13.203.39.153,nonsense"}),
    ],
)
def test_a_malformed_setting_is_refused(connection, keyring, tenant, provider, wrong):
    with pytest.raises(InvalidAccount):
        add(connection, keyring, tenant, provider, settings={**SETTINGS[provider], **wrong})


def test_a_new_account_takes_the_place_of_the_last_which_stays_for_what_it_sent(connection, keyring, tenant):
    first = add(connection, keyring, tenant, "resend")
    second = add(connection, keyring, tenant, "sendgrid")
    accounts = {each.account_id: each.is_active for each in list_accounts(connection)}
    assert accounts == {first.account_id: False, second.account_id: True}


def budget_of(connection, account_id):
    return connection.execute(
        "select requests_per_second::float8, least(in_flight_cap, stated_in_flight_cap), daily_cap"
        " from channel_budgets where account_id = %s",
        [account_id],
    ).fetchone()


def test_a_live_account_has_the_documented_limits_unless_it_is_told_others(connection, keyring, tenant):
    documented = add(connection, keyring, tenant, "whatsapp")
    assert budget_of(connection, documented.account_id) == (80, None, 250)
    own = add(connection, keyring, tenant, "bolna", requests_per_second=3, in_flight_cap=1, daily_cap=9)
    assert budget_of(connection, own.account_id) == (3, 1, 9)
    sandbox = add(connection, keyring, tenant, "bolna", mode="sandbox")
    assert budget_of(connection, sandbox.account_id) == (20_000, 20_000, None)


def test_live_asks_for_the_tenants_name_and_then_for_credentials(run, connection, tenant, monkeypatch):
    for name in ("RESEND_API_KEY", "RESEND_WEBHOOK_SECRET", "API_KEY", "api_key"):
        monkeypatch.setenv(name, "planted-in-the-environment")
    command = ("add", "resend", "--live", "--tenant", "acme", "--setting", "sender=Acme <hello@acme.example>")
    refused = run(*command, answers="yes\nre_key\nwhsec_key\n")
    assert (refused.exit_code, list_accounts(connection)) == (1, [])
    added = run(*command, answers="acme\nre_key\nwhsec_key\n")
    assert added.exit_code == 0, added.output
    account = only_active(connection, "email")
    sealed = Keyring(load_settings()).open(account.sealed, account_id=account.account_id)
    assert sealed == {"api_key": "re_key", "webhook_secret": "whsec_key"}
    assert "REAL" in added.output and "/webhooks/resend/" in added.output
    assert "re_key" not in added.output and "whsec_key" not in added.output
    listed = run("list", "--json").output
    modes = {each["provider"]: each["mode"] for each in json.loads(listed)}
    assert "re_key" not in listed and modes == {"bolna": "sandbox", "whatsapp": "sandbox", "resend": "live"}
    assert "live" in run("list").output


def test_without_live_an_account_is_the_sandboxs(run, connection, tenant):
    added = run("add", "sendgrid", "--tenant", "acme")
    assert (added.exit_code, only_active(connection, "email").mode) == (0, "sandbox")
    assert "REAL" not in added.output


def test_a_rotated_token_replaces_the_last(run, connection, keyring, tenant):
    added = add(connection, keyring, tenant, "resend")
    before = connection.execute("select webhook_token_sha256 from channel_accounts").fetchone()
    shown = run("rotate-token", str(added.account_id))
    assert shown.exit_code == 0
    assert "/webhooks/resend/" in shown.output and added.webhook_token not in shown.output
    assert connection.execute("select webhook_token_sha256 from channel_accounts").fetchone() != before
    account = only_active(connection, "email")
    assert keyring.open(account.sealed, account_id=account.account_id) == credentials_of("resend")


def test_a_token_that_is_not_there_cannot_be_rotated(connection, keyring, tenant):
    with pytest.raises(NoAccount):
        rotate_token(connection, keyring, tenant.user_id)
    added = add(connection, keyring, tenant, "smtp")
    with pytest.raises(InvalidAccount, match="not changed"):
        rotate_token(connection, keyring, added.account_id)


def test_a_tenant_with_lifted_legal_hours_is_given_no_live_account(connection, keyring):
    sandboxed = ensure_tenant(connection, "acme", legal_hours=False)
    with pytest.raises(InvalidAccount, match="legal hours"):
        add(connection, keyring, sandboxed, "bolna")
    assert list_accounts(connection) == []
    add(connection, keyring, sandboxed, "bolna", mode="sandbox")
    ensure_tenant(connection, "acme", legal_hours=True)
    add(connection, keyring, sandboxed, "bolna")


def test_a_flow_file_that_lifts_them_is_refused_when_it_is_planned_and_applied(connection, keyring, tenant):
    add(connection, keyring, tenant, "resend")
    lifting = TenantFlows("acme", None, None, (), legal_hours=False)
    for save in (plan_tenants, apply_tenants):
        with pytest.raises(LegalHoursNeeded):
            save(connection, [lifting])
    assert ensure_tenant(connection, "acme").legal_hours is True


def test_lifted_legal_hours_are_told_before_anything_is_asked(run, connection):
    ensure_tenant(connection, "acme", legal_hours=False)
    refused = run("add", "bolna", "--live", "--tenant", "acme", answers="acme\nkey\n")
    assert isinstance(refused.exception, InvalidAccount)
    assert "REAL" not in refused.output


def test_a_tenant_with_a_live_account_lifts_no_legal_hours(connection, keyring, tenant):
    ensure_sandbox_accounts(connection, keyring)
    assert ensure_tenant(connection, "acme", legal_hours=False).legal_hours is False
    ensure_tenant(connection, "acme", legal_hours=True)
    add(connection, keyring, tenant, "resend")
    with pytest.raises(LegalHoursNeeded):
        ensure_tenant(connection, "acme", time_zone="Asia/Kolkata", legal_hours=False)
    unchanged = ensure_tenant(connection, "acme")
    assert (unchanged.legal_hours, unchanged.time_zone) == (True, "UTC")
