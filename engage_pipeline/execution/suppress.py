"""Keeps a no to a channel, and stops at once what is pending for that address."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS
from engage_pipeline.execution.advance import advance
from engage_pipeline.execution.stop import stop_logs

_HERE = Path(__file__).parent


class Wish(NamedTuple):
    """A no to one channel on one normalised address; `source` says where it was stated."""

    user_id: UUID
    channel: str
    address: str
    source: str


def suppress(connection: Connection, wishes: Sequence[Wish], *, now: datetime) -> int:
    """Store the wishes and skip what is pending for the contacts concerned. Inside the caller's transaction.

    Returns how many logs were skipped. What is on its way keeps its course; sending reads the suppressions again.
    """
    if not wishes:
        return 0
    given = {
        "user_ids": [wish.user_id for wish in wishes],
        "channels": [wish.channel for wish in wishes],
        "addresses": [wish.address for wish in wishes],
        "sources": [wish.source for wish in wishes],
    }
    connection.execute(
        "insert into suppressions (user_id, channel, address, source)"
        " select * from unnest(%(user_ids)s::uuid[], %(channels)s::text[], %(addresses)s::text[], %(sources)s::text[])"
        " on conflict do nothing",
        given,
    )
    pending = connection.execute(load_statement(_HERE, "pending_logs_of_addresses"), given).fetchall()
    stop_logs(connection, {log_id: "suppressed" for log_id, _ in pending}, now=now)
    advance(connection, {execution_id for _, execution_id in pending}, now=now, micro_batch_id=None)
    return len(pending)


def list_suppressions(
    connection: Connection,
    user_id: UUID,
    *,
    channel: str | None = None,
    after: tuple[str, str] | None = None,
    at_most: int,
) -> list[dict[str, Any]]:
    """A tenant's suppressed addresses: channel, address, source and created_at, by channel and address.

    Args:
        after: channel and address that the list begins after.
    """
    asked = {
        "user_id": user_id,
        "channel": channel,
        "after_channel": after and after[0],
        "after_address": after and after[1],
        "at_most": at_most,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_statement(_HERE, "list_suppressions"), asked).fetchall()


def opt_out(
    connection: Connection, user_id: UUID, contact_id: UUID, channels: Sequence[str], *, source: str, now: datetime
) -> int | None:
    """Keep a contact's no to channels on the contact and by each address, and stop what is pending there.

    Inside the caller's transaction. Returns how many logs were skipped; None when the tenant has no such contact.
    """
    row = connection.execute(
        "select phone_e164, email from contacts where id = %s and user_id = %s for no key update", [contact_id, user_id]
    ).fetchone()
    if row is None:
        return None
    addresses = {"phone_e164": row[0], "email": row[1]}
    wishes = [(channel, addresses[ADDRESS_COLUMNS[channel]]) for channel in dict.fromkeys(channels)]
    # Before the contact, whose own trigger keeps the addresses too, but does not know where the wish was stated.
    skipped = suppress(
        connection,
        [Wish(user_id, channel, address, source) for channel, address in wishes if address is not None],
        now=now,
    )
    connection.execute(
        "update contacts set suppressed_channels ="
        " (select array_agg(distinct channel) from unnest(suppressed_channels || %s::text[]) as said_no (channel)),"
        " updated_at = %s where id = %s",
        [list(channels), now, contact_id],
    )
    return skipped


def suppress_contacts(connection: Connection, opt_outs: Mapping[UUID, str], *, now: datetime) -> None:
    """Keep each no on the contact of an action log and by its address, and stop what is pending there.

    Args:
        opt_outs: action log -> the provider that told of the no.
    """
    if not opt_outs:
        return
    rows = connection.execute(
        load_statement(_HERE, "opt_out_contacts"), {"action_log_ids": list(opt_outs), "now": now}
    ).fetchall()
    suppress(
        connection,
        [
            Wish(user_id, channel, address, source=f"{opt_outs[log_id]} opt-out")
            for log_id, user_id, channel, address in rows
            if address is not None
        ],
        now=now,
    )
