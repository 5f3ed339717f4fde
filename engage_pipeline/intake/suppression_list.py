"""A list of addresses that must not be used: a file of its own, beside the wishes that lead files state.

It speaks of addresses, so it makes no contact and marks none: whoever has the address, now or later, is left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS
from engage_pipeline.intake.batch import RejectedRow
from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.mapping import ColumnMapping, map_columns
from engage_pipeline.intake.missing import is_missing
from engage_pipeline.intake.normalise import INVALID_EMAIL, INVALID_PHONE
from engage_pipeline.intake.phones import phone_e164
from engage_pipeline.intake.table import opened_table

HERE = Path(__file__).parent
NO_ADDRESS = "no_address"


@dataclass(frozen=True)
class SuppressionReport:
    """What became of a suppression list.

    Attributes:
        address_count: different addresses in the list, counted once for each channel.
        added_count: how many of those were not suppressed before.
        rejected: rows of which something could not be kept, in file order.
    """

    rows_read: int
    address_count: int
    added_count: int
    rejected: list[RejectedRow]

    def as_json(self) -> dict[str, Any]:
        """The counts, and each rejected row by line and reason, without what it said."""
        return {
            "rows_read": self.rows_read,
            "address_count": self.address_count,
            "added_count": self.added_count,
            "rejected": [
                {"line_number": row.line_number, "reason_code": row.reason_code, "reason": row.reason}
                for row in self.rejected
            ],
        }


def suppress_list(
    connection: Connection, file: Path, *, channels: Sequence[str], tenant: Tenant, now: datetime
) -> SuppressionReport:
    """Suppress every address of `file` on the channels, in one transaction. It waits for an upload that is loading.

    Every phone column counts for `ai_call` and `whatsapp_message`, every e-mail column for `email`. A row that has an
    invalid address keeps its valid ones and is reported; so is a row that has no address for any of the channels.

    Args:
        channels: at least one of `vocabulary.CHANNELS`.
        now: when the wish was stated, with a time zone.

    Raises:
        FileRefused: as for a lead file, or no_address_column; nothing was written.
    """
    rejected: list[RejectedRow] = []
    suppressed: set[tuple[str, str]] = set()
    rows_read = 0
    with opened_table(file) as table:
        headers = table.format.headers
        mapping = map_columns(headers, [["x"] * len(headers)])
        _require_columns(mapping, channels)
        for batch in table.batches():
            rejected += batch.rejected
            rows_read += len(batch) + len(batch.rejected)
            for line_number, row in zip(batch.line_numbers.to_pylist(), batch.rows(), strict=True):
                addresses, rejection = _addresses(row, mapping, channels, tenant.default_phone_region)
                suppressed |= addresses
                if rejection is not None:
                    rejected.append(RejectedRow(line_number, row, *rejection))
    added_count = _keep(connection, suppressed, source=f"list {file.name}", tenant=tenant, now=now)
    rejected.sort(key=lambda row: row.line_number)
    return SuppressionReport(rows_read, len(suppressed), added_count, rejected)


def normal_address(channel: str, text: str, region: str) -> str | None:
    """The address as suppressions have it; None for what is no address of the channel."""
    return email_address(text) if _field(channel) == "email" else phone_e164(text, region)


def _require_columns(mapping: ColumnMapping, channels: Sequence[str]) -> None:
    for channel in channels:
        if _field(channel) not in mapping.fields:
            kind = "an e-mail address" if channel == "email" else "a phone number"
            raise FileRefused(
                "no_address_column",
                what=f"the list has no column for {channel}",
                why=f"none of its headers names {kind}: {', '.join(mapping.headers)}",
                fix=f"name the column {'Email' if channel == 'email' else 'Phone'}, or give another --channel",
            )


def _field(channel: str) -> str:
    return "email" if ADDRESS_COLUMNS[channel] == "email" else "phone"


def _addresses(
    row: Sequence[str], mapping: ColumnMapping, channels: Sequence[str], region: str
) -> tuple[set[tuple[str, str]], tuple[str, str] | None]:
    """(channel, address) pairs of a row, and why something of it cannot be kept."""
    found: set[tuple[str, str]] = set()
    rejection: tuple[str, str] | None = None
    for channel in channels:
        for column in mapping.fields[_field(channel)]:
            text = row[column]
            if is_missing(text):
                continue
            address = normal_address(channel, text, region)
            if address is not None:
                found.add((channel, address))
            elif channel == "email":
                rejection = INVALID_EMAIL, "the e-mail address is not valid"
            else:
                rejection = INVALID_PHONE, f"the phone number is not valid with default region {region}"
    if not found and rejection is None:
        rejection = NO_ADDRESS, f"the row has no address for {' or '.join(channels)}"
    return found, rejection


def _keep(
    connection: Connection, suppressed: set[tuple[str, str]], *, source: str, tenant: Tenant, now: datetime
) -> int:
    asked = {
        "user_id": tenant.user_id,
        "channels": [channel for channel, _ in suppressed],
        "addresses": [address for _, address in suppressed],
        "sources": [source] * len(suppressed),
        "now": now,
    }
    with connection.transaction():
        connection.execute(load_statement(HERE, "hold_intake"), {"user_id": tenant.user_id})
        return connection.execute(load_statement(HERE, "suppress_addresses"), asked).rowcount
