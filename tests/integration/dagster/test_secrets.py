"""Credentials are nowhere but in the account, encrypted: planted ones are searched for after good and bad runs."""

from psycopg import sql

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import ensure_sandbox_accounts, list_accounts
from tests.integration.ledger_world import CHANNELS, flow_of


def secrets_of(house):
    """Every credential of every account, in the clear."""
    keyring = Keyring(house.settings)
    ensure_sandbox_accounts(house.world.connection, keyring)
    accounts = list_accounts(house.world.connection)
    return {
        secret
        for account in accounts
        for secret in keyring.open(account.sealed, account_id=account.account_id).values()
        if secret
    }


def test_credentials_are_in_no_table_file_or_log(house, capfd):
    house.world.apply(flow_of(*CHANNELS))
    planted = secrets_of(house)
    assert len(planted) >= 8
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

    tables = house.world.connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema in ('public', 'dagster') and table_type = 'BASE TABLE'"
    ).fetchall()
    found = []
    for schema, table in tables:
        whole = sql.SQL("select rows::text from {} as rows").format(sql.Identifier(schema, table))
        for (text,) in house.world.connection.execute(whole).fetchall():
            found += [f"{schema}.{table}" for secret in planted if secret in text]
    files = [path for path in house.settings.home.rglob("*") if path.is_file()]
    files += [house.world.sandbox.record_path]
    for path in files:
        content = path.read_bytes()
        found += [path.name for secret in planted if secret.encode() in content]
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
