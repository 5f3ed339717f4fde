"""Who sends a request and what they may do: the one dependency of every endpoint, by the role that it takes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.errors import NoToken, RoleTooLow
from engage_pipeline.api.idempotency import fingerprint, once
from engage_pipeline.api.sessions import Session, TenantDatabase
from engage_pipeline.api.tokens import Principal, Role

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from engage_pipeline.api.services import Services

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeat a request with the same key and it is carried out once.",
        examples=["7b0b5f0e-1d0c-4c43-9c0c-6b7f5b8f7d11"],
    ),
]


@dataclass(frozen=True)
class Caller:
    """One request's sender. Everything that it may see or change goes through `read` and `write`."""

    principal: Principal
    services: "Services" = field(repr=False)
    method: str
    path: str

    @property
    def _database(self) -> TenantDatabase:
        return self.services.database

    def read(self) -> "AbstractContextManager[Session]":
        """A transaction that sees the tenant's rows and changes nothing."""
        return self._database.session(self.principal.user_id, read_only=True)

    def write(self, work: Callable[[Session], Answer]) -> Response:
        """Carry out `work` in one transaction of the tenant."""
        with self._database.session(self.principal.user_id) as session:
            answer = work(session)
        return answer.response()


@dataclass(frozen=True)
class Poster(Caller):
    """The sender of a POST, which may carry an Idempotency-Key."""

    body: bytes = field(default=b"", repr=False)
    idempotency_key: str | None = None

    def write(self, work: Callable[[Session], Answer]) -> Response:
        """Carry out `work` in one transaction of the tenant; once only, if the request has a key."""
        key = self.idempotency_key
        if key is None:
            return super().write(work)
        with self._database.session(self.principal.user_id) as session:
            answer = once(session, key, fingerprint(self.method, self.path, self.body), lambda: work(session))
        return answer.response()

    def with_body(self, body: bytes) -> "Poster":
        """The same, of a request whose body is told from others by `body`."""
        return replace(self, body=body)


async def authenticated(request: Request, role: Role) -> Principal:
    """Who sends the request.

    Raises:
        NoToken: nobody that counts.
        RoleTooLow: somebody who may not.
        TooManyRequests: the token has sent too many.
    """
    services: Services = request.app.state.services
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise NoToken("it has no token")
    verifier = services.verifier
    principal = await run_in_threadpool(verifier.verify, token) if verifier.may_block else verifier.verify(token)
    services.rate_limits.count_token(principal.token_id)
    if not principal.may(role):
        raise RoleTooLow(principal.role, needed=role)
    return principal


def caller(role: Role) -> Callable[..., Awaitable[Caller]]:
    """The dependency of an endpoint that takes `role`."""

    async def find(request: Request) -> Caller:
        principal = await authenticated(request, role)
        return Caller(principal, request.app.state.services, request.method, request.url.path)

    return find


def poster(role: Role, *, reads_body: bool = True) -> Callable[..., Awaitable[Poster]]:
    """The same for a POST; one whose endpoint reads the body says itself what is in it (`with_body`)."""

    async def find(request: Request, idempotency_key: IdempotencyKey = None) -> Poster:
        principal = await authenticated(request, role)
        body = await request.body() if idempotency_key and reads_body else b""
        return Poster(principal, request.app.state.services, request.method, request.url.path, body, idempotency_key)

    return find


Viewer = Annotated[Caller, Depends(caller("viewer"))]
Editor = Annotated[Caller, Depends(caller("editor"))]
Admin = Annotated[Caller, Depends(caller("admin"))]
ViewerPosting = Annotated[Poster, Depends(poster("viewer"))]
EditorPosting = Annotated[Poster, Depends(poster("editor"))]
EditorUploading = Annotated[Poster, Depends(poster("editor", reads_body=False))]
AdminPosting = Annotated[Poster, Depends(poster("admin"))]
