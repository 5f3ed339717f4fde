"""API keys of sandbox accounts. One says by itself where the sandbox sends its webhooks and how it signs them, so the
sandbox needs no list of accounts and forgets none when it restarts."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_PREFIX = "sandbox"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class SandboxKey:
    """The webhook path's token, and the secret that webhooks are signed with."""

    token: str
    secret: str = field(repr=False)

    @property
    def api_key(self) -> str:
        """The key as an account sends it."""
        return f"{_PREFIX}_{self.token}_{self.secret}"

    def credentials(self, provider: str) -> dict[str, str]:
        """What an account of that provider holds: the API key, and what verifies the sandbox's webhooks."""
        return {
            "api_key": self.api_key,
            "webhook_secret": _VERIFIERS.get(provider, str)(self.secret),
            "verify_token": self.token[:16],
        }


def new_key() -> SandboxKey:
    """A key that no other account has."""
    return SandboxKey(secrets.token_hex(32), secrets.token_hex(24))


def read_key(authorization: str | None) -> SandboxKey | None:
    """The key of an `Authorization: Bearer ...` header; None when it is not a sandbox account's."""
    parts = (authorization or "").removeprefix("Bearer ").split("_")
    if len(parts) != 3 or parts[0] != _PREFIX or not all(part.isalnum() for part in parts):
        return None
    return SandboxKey(parts[1], parts[2])


def svix_secret(secret: str) -> str:
    """The secret as Resend shows it."""
    return "whsec_" + base64.b64encode(bytes.fromhex(secret)).decode()


def signing_key(secret: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that SendGrid's events are signed with."""
    number = int.from_bytes(hashlib.sha512(secret.encode()).digest()) % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _public_key(secret: str) -> str:
    public = signing_key(secret).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


_VERIFIERS: Mapping[str, Callable[[str], str]] = {"resend": svix_secret, "sendgrid": _public_key}
