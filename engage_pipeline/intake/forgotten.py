"""People who were forgotten, and are known only by keyed hashes of what they were known by.

The suppression list keeps `hmac-sha256:<key>:<hash>` in the place of their addresses. A contact that arrives with one
of them is suppressed on every channel before anybody can see it, so that the plain list, which matching and sending
read, is complete. Without the key the hashes say nothing, and the key stays in the installation's data directory.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.intake.errors import SuppressionKeyMissing
from engage_pipeline.secret_file import read_or_make
from engage_pipeline.settings import Settings

HERE = Path(__file__).parent
HASHED = "hmac-sha256:"
_BLOCK_BYTES = 64


def phone_said(phone_e164: str) -> str:
    """What is hashed of a phone number."""
    return f"phone {phone_e164}"


def email_said(email: str) -> str:
    """What is hashed of an e-mail address."""
    return f"email {email}"


def id_said(source_system: str, external_id: str) -> str:
    """What is hashed of the id that a source system gave."""
    return f"id {source_system} {external_id}"


class SuppressionKey:
    """The key in `<home>/suppression.key`, made at first use, readable by its owner alone."""

    def __init__(self, settings: Settings) -> None:
        text = read_or_make(settings.suppression_key, lambda: secrets.token_bytes(32).hex().encode())
        self._key = bytes.fromhex(text.decode())
        self.prefix = f"{HASHED}{hashlib.sha256(self._key).hexdigest()[:12]}:"

    def hashed(self, said: str) -> str:
        """The entry of the suppression list for what somebody was known by."""
        return self.prefix + hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    def pads(self) -> tuple[bytes, bytes]:
        """The inner and outer pad of HMAC (RFC 2104), with which SQL computes the same by two plain hashes."""
        block = self._key.ljust(_BLOCK_BYTES, b"\0")
        return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def suppress_returning(connection: Connection, settings: Settings, user_id: UUID, *, now: datetime) -> int:
    """Suppress the tenant's contacts written at `now` who were forgotten before. Inside the caller's transaction.

    Returns how many there are. Costs nothing for a tenant that never forgot anybody.

    Raises:
        SuppressionKeyMissing: the hashes were made with another key, so nobody can tell whom they mean.
    """
    keys = {prefix for (prefix,) in connection.execute(load_statement(HERE, "forgotten_keys"), {"user_id": user_id})}
    if not keys:
        return 0
    key = SuppressionKey(settings)
    if keys != {key.prefix}:
        raise SuppressionKeyMissing(str(settings.suppression_key))
    inner, outer = key.pads()
    return connection.execute(
        load_statement(HERE, "suppress_returning"),
        {
            "user_id": user_id,
            "now": now,
            "prefix": key.prefix,
            "inner": inner,
            "outer": outer,
            "channels": list(CHANNELS),
        },
    ).rowcount


def keep_hashes(
    connection: Connection, settings: Settings, user_id: UUID, said: Iterable[str], *, now: datetime
) -> None:
    """Put hashes of what a person was known by on the suppression list, for every channel."""
    key = SuppressionKey(settings)
    pairs = [(channel, key.hashed(each)) for each in said for channel in CHANNELS]
    connection.execute(
        load_statement(HERE, "suppress_addresses"),
        {
            "user_id": user_id,
            "channels": [channel for channel, _ in pairs],
            "addresses": [address for _, address in pairs],
            "sources": ["forgotten"] * len(pairs),
            "now": now,
        },
    )
