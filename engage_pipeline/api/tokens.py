"""Tokens: JSON Web Tokens (RFC 7519) that say who sends a request, for which tenant and in which role."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import jwt
from jwt.exceptions import InvalidKeyError, PyJWKClientConnectionError, PyJWTError

from engage_pipeline.api.errors import Busy, JwtKeyMissing, JwtKeyUnfit, NoToken
from engage_pipeline.secret_file import read_or_make
from engage_pipeline.settings import Settings

Role = Literal["viewer", "editor", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
"""Each may do what those before it may."""

LEAST_SECRET_BYTES = 32
_CLOCKS_DIFFER = timedelta(seconds=10)
_CLAIMS = ("exp", "iat", "iss", "aud", "sub", "tenant_id", "role")


@dataclass(frozen=True)
class Principal:
    """Who sends a request. `token_id` is the token's `jti`, or its subject where it has none."""

    user_id: UUID
    role: Role
    subject: str
    token_id: str

    def may(self, role: Role) -> bool:
        """Whether what takes `role` is open to it."""
        return ROLES.index(self.role) >= ROLES.index(role)


class TokenVerifier:
    """Checks tokens with one key, or one key set, for one algorithm.

    Raises:
        JwtKeyMissing: the settings name no key.
        JwtKeyUnfit: it is too short, or no key of the algorithm.
    """

    def __init__(self, settings: Settings) -> None:
        self._algorithm, self._issuer, self._audience = (
            settings.jwt_algorithm,
            settings.jwt_issuer,
            settings.jwt_audience,
        )
        self._key: Any = None
        self._key_set: jwt.PyJWKClient | None = None
        if settings.jwt_algorithm == "HS256":
            self._key = _secret(settings)
        elif settings.jwt_public_key is not None:
            self._key = _pem_key(settings.jwt_algorithm, settings.jwt_public_key)
        elif settings.jwt_jwks_url is not None:
            self._key_set = jwt.PyJWKClient(_guarded(settings.jwt_jwks_url), cache_keys=True, timeout=5)
        else:
            raise JwtKeyMissing(settings.jwt_algorithm, settings.local_jwt_secret)

    @property
    def may_block(self) -> bool:
        """Whether a check may ask the network for a key."""
        return self._key_set is not None

    def verify(self, token: str) -> Principal:
        """Who sent it.

        Raises:
            NoToken: its signature, algorithm, issuer, audience, time or claims are not as they must be.
            Busy: the key set cannot be asked.
        """
        try:
            key = self._key if self._key_set is None else self._key_set.get_signing_key_from_jwt(token).key
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_CLOCKS_DIFFER,
                options={"require": list(_CLAIMS)},
            )
            return _principal(claims)
        except PyJWKClientConnectionError as error:
            raise Busy("the key set that tokens are checked with does not answer") from error
        except PyJWTError as error:
            raise NoToken(f"the token does not count: {_words(error)}") from error


def issue_token(
    settings: Settings,
    *,
    user_id: UUID,
    role: Role,
    subject: str,
    now: datetime,
    lasts: timedelta,
    private_key: Path | None = None,
) -> str:
    """A token for a tenant. With RS256 or ES256 it is signed with the PEM key in `private_key`.

    Raises:
        JwtKeyMissing, JwtKeyUnfit: as for the verifier.
    """
    if settings.jwt_algorithm == "HS256":
        key: Any = _secret(settings)
    elif private_key is None:
        raise JwtKeyUnfit(
            why=f"{settings.jwt_algorithm} signs with a private key, and none was given",
            fix="name its PEM file: engage token create --private-key FILE",
        )
    else:
        key = _pem_key(settings.jwt_algorithm, private_key)
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "iat": now,
        "exp": now + lasts,
        "jti": str(uuid4()),
        "tenant_id": str(user_id),
        "role": role,
    }
    return jwt.encode(claims, key, algorithm=settings.jwt_algorithm)


def make_local_secret(settings: Settings) -> None:
    """Give a local installation a random secret of its own, once, where nobody has configured how tokens are signed."""
    if settings.jwt_algorithm == "HS256" and settings.jwt_secret is None:
        read_or_make(settings.local_jwt_secret, lambda: secrets.token_hex(32).encode())


def _secret(settings: Settings) -> bytes:
    if settings.jwt_secret is not None:
        secret, place = settings.jwt_secret.get_secret_value().encode(), "ENGAGE_JWT_SECRET"
    elif settings.local_jwt_secret.is_file():
        secret, place = settings.local_jwt_secret.read_bytes().strip(), str(settings.local_jwt_secret)
    else:
        raise JwtKeyMissing(settings.jwt_algorithm, settings.local_jwt_secret)
    if len(secret) < LEAST_SECRET_BYTES:
        raise JwtKeyUnfit(
            why=f"{place} has {len(secret)} bytes, and HS256 needs {LEAST_SECRET_BYTES} (RFC 7518, section 3.2)",
            fix="make another one, such as `openssl rand -hex 32` prints",
        )
    return secret


def _pem_key(algorithm: str, path: Path) -> Any:
    try:
        return jwt.get_algorithm_by_name(algorithm).prepare_key(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JwtKeyUnfit(why=f"{path} cannot be read: {type(error).__name__}", fix="name a PEM file") from error
    except (InvalidKeyError, ValueError, TypeError) as error:
        raise JwtKeyUnfit(
            why=f"{path} holds no key of {algorithm}",
            fix="name a PEM file with such a key, or set ENGAGE_JWT_ALGORITHM",
        ) from error


def _guarded(url: str) -> str:
    """The address of a key set, which nobody on the way may change."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return url
    raise JwtKeyUnfit(
        why="ENGAGE_JWT_JWKS_URL is neither https nor on this machine", fix="give the https address of the key set"
    )


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _principal(claims: Mapping[str, Any]) -> Principal:
    role, subject = claims["role"], claims["sub"]
    if role not in ROLES:
        raise NoToken(f"the token's role is none of {', '.join(ROLES)}")
    try:
        user_id = UUID(str(claims["tenant_id"]))
    except ValueError as error:
        raise NoToken("the token's tenant_id is no UUID") from error
    return Principal(user_id, cast("Role", role), str(subject), str(claims.get("jti", subject)))


def _words(error: PyJWTError) -> str:
    """What is wrong, of the library's own short words; never a part of the token."""
    known = {
        "ExpiredSignatureError": "it has expired",
        "ImmatureSignatureError": "it is not valid yet",
        "InvalidSignatureError": "its signature does not fit",
        "InvalidAudienceError": "it is for another audience",
        "InvalidIssuerError": "it is from another issuer",
        "InvalidAlgorithmError": "it is signed with another algorithm",
        "MissingRequiredClaimError": f"it needs the claims {', '.join(_CLAIMS)}",
    }
    return known.get(type(error).__name__, "it cannot be read")
