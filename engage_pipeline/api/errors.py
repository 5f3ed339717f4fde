"""What can be wrong with a request, or with what the API was told about tokens, in a way that a person can mend."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engage_pipeline.errors import EngageError


class JwtKeyMissing(EngageError):
    """The API has no key to check tokens with."""

    code = "jwt-key-missing"

    def __init__(self, algorithm: str, secret_file: Path) -> None:
        if algorithm == "HS256":
            why = f"ENGAGE_JWT_SECRET is not set, there is no default, and {secret_file} is not there"
            fix = "set ENGAGE_JWT_SECRET to 32 random bytes or more, such as `openssl rand -hex 32` prints; a local"
            fix += " installation gets one of its own from `engage dev`"
        else:
            why = "neither ENGAGE_JWT_PUBLIC_KEY nor ENGAGE_JWT_JWKS_URL is set"
            fix = f"name the file or the key set that holds the public key of {algorithm}"
        super().__init__(what="the API cannot tell who sends a request", why=why, fix=fix)


class ApiRoleUnreachable(EngageError):
    """The database does not let the API in as its own role."""

    code = "api-role-unreachable"

    def __init__(self, *, reason: str) -> None:
        super().__init__(
            what="the API cannot connect to the database as the role engage_api",
            why=reason,
            fix="run `engage db migrate`, which makes the role, and on a server of your own give it a password and set "
            "ENGAGE_API_DATABASE_URL (docs/api.md)",
        )


class JwtKeyUnfit(EngageError):
    """The key for tokens is too weak, or of another kind than the algorithm needs."""

    code = "jwt-key-unfit"

    def __init__(self, *, why: str, fix: str) -> None:
        super().__init__(what="the key for tokens is not used", why=why, fix=fix)


class NoToken(EngageError):
    """A request came without a token, or with one that does not count."""

    code = "invalid-token"

    def __init__(self, why: str) -> None:
        super().__init__(
            what="the request was refused",
            why=why,
            fix="send `Authorization: Bearer <token>`; `engage token create` makes one",
        )


class RoleTooLow(EngageError):
    """The token's role may not do this."""

    code = "role-too-low"

    def __init__(self, role: str, *, needed: str) -> None:
        super().__init__(
            what="the request was refused",
            why=f"the token's role is {role}, and this takes {needed}",
            fix=f"use a token with the role {needed}",
        )


class NoSuchTenant(EngageError):
    """The token names a tenant that does not exist."""

    code = "no-such-tenant"

    def __init__(self) -> None:
        super().__init__(
            what="the request was refused",
            why="the tenant of the token does not exist",
            fix="use a token for a tenant of this installation: `engage token create --tenant NAME`",
        )


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field: its path, such as `actions[0].action_config`, and how to mend it."""

    field: str
    detail: str
    fix: str


class InvalidRequest(EngageError):
    """Fields of a request break a rule."""

    code = "invalid-request"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        count = "one field" if len(problems) == 1 else f"{len(problems)} fields"
        super().__init__(
            what="the request was not carried out",
            why=f"{count} of it cannot be taken: {', '.join(each.field for each in problems)}",
            fix="mend what `errors` lists, and send it again",
        )


class UnreadableBody(EngageError):
    """The body of a request is not what it says it is."""

    code = "unreadable-body"

    def __init__(self, why: str) -> None:
        super().__init__(
            what="the body of the request cannot be read", why=why, fix="send the body that the documentation shows"
        )


class WrongMediaType(EngageError):
    """The body of a request is of another type than the endpoint takes."""

    code = "wrong-media-type"

    def __init__(self, wanted: str) -> None:
        super().__init__(
            what="the body of the request was not read", why="it is of another type", fix=f"send it as {wanted}"
        )


class ExecutionEnded(EngageError):
    """An execution was to be cancelled that has ended."""

    code = "execution-ended"

    def __init__(self, status: str) -> None:
        super().__init__(
            what="the execution was not cancelled",
            why=f"it is {status}, and only one that is pending or running can be cancelled",
            fix="nothing is left to do",
        )


class KeyReused(EngageError):
    """An Idempotency-Key came with another request than the first time."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__(
            what="the request was not carried out",
            why="its Idempotency-Key was used for another request",
            fix="make a new key for each request, and repeat a key only with the very same request",
        )


class TooManyRequests(EngageError):
    """A token or an address has used up its requests."""

    code = "too-many-requests"

    def __init__(self, whose: str, *, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(
            what="the request was refused",
            why=f"too many requests came {whose} within a minute",
            fix=f"wait {retry_after_seconds} seconds",
        )


class BodyTooLarge(EngageError):
    """The body of a request is larger than allowed."""

    code = "body-too-large"

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            what="the request was refused",
            why=f"its body is larger than {most_bytes:,} bytes",
            fix="send less at once; a larger list of contacts goes as an upload",
        )


class BodyTooSlow(EngageError):
    """The body of a request did not come."""

    code = "body-too-slow"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            what="the request was given up",
            why=f"nothing of its body came for {seconds:g} seconds",
            fix="send it again over a better connection",
        )


class Busy(EngageError):
    """The API could not do it now."""

    code = "busy"

    def __init__(self, why: str) -> None:
        super().__init__(what="the request was not carried out", why=why, fix="send it again in a few seconds")


class NotFound(EngageError):
    """There is nothing at the address, or nothing of this tenant."""

    code = "not-found"

    def __init__(self, what: str = "this address") -> None:
        super().__init__(
            what=f"there is nothing at {what}",
            why="it does not exist, or it is not of the token's tenant",
            fix="check the address; /api/docs lists the endpoints",
        )


class TooManyContacts(EngageError):
    """A forecast was asked of more contacts than a request may take."""

    code = "too-many-contacts"

    def __init__(self, *, most: int) -> None:
        super().__init__(
            what="the forecast was not made",
            why=f"it would walk more than {most:,} contacts, and a request may not",
            fix="ask for fewer days, or run `engage simulate --recent DAYS`",
        )
