"""What stands in front of every endpoint: limits of requests and bodies, headers of answers, counting, the last catch.

Plain ASGI, so that a request costs no task and no copy of its own.
"""

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage_pipeline.api.errors import BodyTooLarge, BodyTooSlow, TooManyRequests
from engage_pipeline.api.problems import problem_response, unexpected
from engage_pipeline.api.services import Services
from engage_pipeline.errors import EngageError

log = logging.getLogger("engage.api")

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    # Browsers take it from https only, that is from the proxy in front.
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# The page that shows the endpoints has a script in it, loads others from here, and nothing from anywhere else.
_PAGES = ("/api/docs",)
_POLICY_OF_PAGES = (
    b"content-security-policy",
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    b" frame-ancestors 'none'",
)


class Refused(HTTPException):
    """Carries an error out of the reading of a body, past the framework, which takes anything else for a bad body."""

    def __init__(self, error: EngageError) -> None:
        self.error = error
        super().__init__(status_code=400)


class Guard:
    """The application `app`, guarded. `services` are asked for at each request, as they begin with the application.

    Args:
        upload_path: where bodies may be as large as a lead file.
    """

    def __init__(self, app: ASGIApp, services: Callable[[], Services], *, upload_path: str) -> None:
        self.app, self._services, self._upload_path = app, services, upload_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(send, scope["path"])
        try:
            await self._checked(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - the last place where it can become an answer
            response = unexpected(error, scope["path"])
            if not answer.has_begun:
                await response(scope, receive, answer.send)
        finally:
            route = scope.get("route")
            template = getattr(route, "path", "none")
            seconds = time.perf_counter() - began
            self._services().metrics.count(scope["method"], template, answer.status, seconds)
            log.log(
                # Reads that went well are counted and not written down: each line is a system call.
                logging.DEBUG if scope["method"] == "GET" and answer.status < 400 else logging.INFO,
                "%s %s %d %.1f ms",
                scope["method"],
                template,
                answer.status,
                seconds * 1000,
            )

    async def _checked(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        services = self._services()
        settings = services.settings
        is_upload = scope["path"] == self._upload_path
        most = settings.api_upload_bytes if is_upload else settings.api_body_bytes
        client = scope.get("client")
        try:
            services.rate_limits.count_address(client[0] if client else "unknown")
            if (_content_length(scope) or 0) > most:
                raise BodyTooLarge(most)
        except (TooManyRequests, BodyTooLarge) as error:
            await problem_response(error, scope["path"])(scope, receive, answer.send)
            return
        body = _Body(receive, most, settings.api_receive_seconds)
        await self.app(scope, body.receive, answer.send)


class _Body:
    """A request's body, which may be so large and pause for so long."""

    def __init__(self, receive: Receive, most_bytes: int, seconds: float) -> None:
        self._receive, self._most, self._seconds = receive, most_bytes, seconds
        self._size = 0
        self._is_over = False

    async def receive(self) -> Message:
        if self._is_over:
            # What comes now is that the client has gone, whenever that is.
            return await self._receive()
        try:
            async with asyncio.timeout(self._seconds):
                message = await self._receive()
        except TimeoutError as error:
            raise Refused(BodyTooSlow(self._seconds)) from error
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._most:
                raise Refused(BodyTooLarge(self._most))
            self._is_over = not message.get("more_body", False)
        return message


class _Answer:
    """An answer on its way, with our headers."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self._headers = [*_HEADERS, _POLICY_OF_PAGES if path.startswith(_PAGES) else _POLICY]
        self.has_begun = False
        self.status = 500

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.has_begun, self.status = True, message["status"]
            message["headers"] = [*message.get("headers", []), *self._headers]
        await self._send(message)


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
