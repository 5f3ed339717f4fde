"""Proof that a webhook comes from its provider: over the raw bytes, in constant time, within a tolerance of time.

Each function answers False for whatever is wrong with a signature, a malformed one included.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

TOLERANCE_SECONDS = 300
"""How far a signed time may lie from ours, either way: Standard Webhooks asks for five minutes."""

_SVIX_PREFIX = "whsec_"


def meta_signature(secret: str, raw: bytes) -> str:
    """`X-Hub-Signature-256`: HMAC-SHA256 of the body with the app's secret, in lower hex."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def is_signed_by_meta(secret: str, raw: bytes, signature: str) -> bool:
    """Whether `signature` is that of these bytes. Meta signs no time."""
    return _same(meta_signature(secret, raw), signature)


def svix_signature(secret: str, raw: bytes, *, message_id: str, timestamp: str) -> str:
    """One `v1,...` of a `svix-signature` header: HMAC-SHA256 over id, time and body, in base64."""
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + raw
    digest = hmac.new(_svix_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def is_signed_by_svix(
    secret: str, raw: bytes, *, message_id: str, timestamp: str, signatures: str, now: datetime
) -> bool:
    """Whether one of the space-separated `signatures` is that of these bytes, and `timestamp` is near `now`.

    Several stand there while a secret is being exchanged.
    """
    if not message_id or not _is_near(timestamp, now):
        return False
    try:
        expected = svix_signature(secret, raw, message_id=message_id, timestamp=timestamp)
    except binascii.Error:
        return False
    return any(_same(expected, candidate) for candidate in signatures.split(" "))


def is_signed_by_sendgrid(public_key: str, raw: bytes, *, timestamp: str, signature: str, now: datetime) -> bool:
    """Whether the ECDSA signature (P-256, SHA-256) over time and body is that of the base64 DER `public_key`."""
    if not _is_near(timestamp, now):
        return False
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
        given = base64.b64decode(signature, validate=True)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(given, timestamp.encode() + raw, ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _svix_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_SVIX_PREFIX), validate=True)


def _is_near(timestamp: str, now: datetime) -> bool:
    # isdecimal alone admits digits of other scripts, which no provider sends.
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TOLERANCE_SECONDS


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
