"""Signed links by which a recipient stops e-mails. They carry the id of an action log and nothing about the person."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from uuid import UUID

_SIGNATURE_BYTES = 16


@dataclass(frozen=True)
class UnsubscribeLinks:
    """Makes and reads the links of one installation. `base_url` has no slash at its end."""

    base_url: str
    key: bytes = field(repr=False)

    def link(self, reference: str) -> str:
        """The link of the action log `reference`, a UUID in text."""
        signed = UUID(reference).bytes
        token = base64.urlsafe_b64encode(signed + self._signature(signed)).decode().rstrip("=")
        return f"{self.base_url}/unsubscribe/{token}"

    def headers(self, reference: str) -> dict[str, str]:
        """The headers of one-click unsubscription (RFC 8058)."""
        return {
            "List-Unsubscribe": f"<{self.link(reference)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def action_log_id(self, token: str) -> UUID | None:
        """The action log that a link's token names; None when this installation did not sign it."""
        try:
            content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        signed, signature = content[:16], content[16:]
        if len(signed) != 16 or not hmac.compare_digest(signature, self._signature(signed)):
            return None
        return UUID(bytes=signed)

    def _signature(self, signed: bytes) -> bytes:
        return hmac.new(self.key, signed, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
