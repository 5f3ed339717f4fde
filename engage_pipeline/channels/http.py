"""The HTTP client of all channels, and what its failures mean for a message. No provider's habits live here."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from engage_pipeline.channels.answers import TryLater, Unknown
from engage_pipeline.errors import EngageError

USER_AGENT = "engage-pipeline/0.1.0"
"""WhatsApp's specification demands `name/x.y.z`."""

# An idle connection is dropped before a server drops it (uvicorn after 5 s): a request that meets a closing connection
# has an unknown fate.
_KEEPALIVE_SECONDS = 2.0

_LIVE_HOST = "engage_live_host"

# Raised by aiohttp only while it has no connection yet, so nothing can have been sent.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class NotLoopback(EngageError):
    """A provider's address is not on this machine."""

    code = "not-loopback"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            what=f"a request to {address!r} was refused before a connection was opened",
            why="a sandbox account reaches the sandbox providers only, over HTTP on a loopback address",
            fix="set ENGAGE_SANDBOX_URL to an address like http://127.0.0.1:8900",
        )


def loopback_url(url: httpx.URL) -> httpx.URL:
    """`url` with its host as a literal loopback address; no name is ever looked up, `localhost` means 127.0.0.1.

    Raises:
        NotLoopback: the scheme is not HTTP, or the host is neither in 127.0.0.0/8 nor ::1 nor `localhost`.
    """
    if url.host == "localhost":
        url = url.copy_with(host="127.0.0.1")
    if url.scheme not in ("http", "https") or not _is_loopback(url.host):
        raise NotLoopback(f"{url.scheme}://{url.host}")
    return url


class LoopbackOnly(httpx.AsyncBaseTransport):
    """Hands on requests to loopback addresses and refuses all others with `NotLoopback`.

    A request of a live account carries the one host that the account may reach, and goes there over HTTPS only.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Forward `request`, or raise `NotLoopback` while no socket is open."""
        live_host = request.extensions.get(_LIVE_HOST)
        if live_host is None or request.url.scheme != "https" or request.url.host != live_host:
            request.url = loopback_url(request.url)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@dataclass(frozen=True)
class Endpoint:
    """Where one account's requests go, and what authorises them.

    Attributes:
        base_url: no slash at its end.
        api_key: sent as a bearer token; empty sends none.
        is_live: only then may a request leave this machine, to the host of `base_url` over HTTPS.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    is_live: bool = False

    async def exchange(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response | TryLater | Unknown:
        """`exchange` with `path` under the account's address, authorised as the account."""
        return await exchange(
            client,
            method,
            f"{self.base_url}{path}",
            body=body,
            params=params,
            headers={**({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}), **(headers or {})},
            live_host=httpx.URL(self.base_url).host if self.is_live else None,
        )


@asynccontextmanager
async def open_client(
    *, connections: int, queue_seconds: float, connect_seconds: float, answer_seconds: float
) -> AsyncIterator[httpx.AsyncClient]:
    """The client for `Channel.send` and `Channel.look_up`: loopback only, no redirects, nothing from the environment.

    Args:
        connections: open at once, at the most; further requests queue.
        queue_seconds: how long a request may wait for one of them, connecting included.
        connect_seconds: how long connecting may take.
        answer_seconds: how long a provider may be silent; with the two above, also the longest one exchange may take.
    """
    limits = httpx.Limits(max_connections=connections, keepalive_expiry=_KEEPALIVE_SECONDS)
    async with httpx.AsyncClient(
        transport=LoopbackOnly(AiohttpTransport(trust_env=False, limits=limits)),
        timeout=httpx.Timeout(pool=queue_seconds, connect=connect_seconds, read=answer_seconds, write=answer_seconds),
        headers={"User-Agent": USER_AGENT},
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield client


_encode = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":")).encode


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str | int] | None = None,
    headers: Mapping[str, str] | None = None,
    live_host: str | None = None,
) -> httpx.Response | TryLater | Unknown:
    """One request and its whole response, or what is known of the request when no response came.

    The JSON is written with sorted keys, so that a body that went through the database is the same to the byte.

    Args:
        live_host: the one host beyond this machine that the request may go to, over HTTPS.

    Raises:
        NotLoopback: `url` leads off this machine and not to `live_host`.
    """
    content = None if body is None else _encode(body)
    json_header = {} if body is None else {"Content-Type": "application/json"}
    try:
        async with asyncio.timeout(_exchange_seconds(client.timeout)):
            return await client.request(
                method,
                url,
                content=content,
                params=params,
                headers={**json_header, **(headers or {})},
                extensions={_LIVE_HOST: live_host} if live_host else None,
            )
    except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
        return unanswered(error)


def unanswered(error: Exception) -> TryLater | Unknown:
    """TryLater when no connection was made, so that nothing was sent; Unknown for every other failure.

    aiohttp's own exception decides, because httpx-aiohttp 0.2 gives `httpx.ConnectTimeout` to a refused connection, a
    full queue, and a server that reset or hung up after it had read the request alike, and lets
    `aiohttp.ClientResponseError`, for a response that is not HTTP, through as it is.
    """
    cause = error.__cause__ or error
    if isinstance(cause, _BEFORE_SENDING):
        return TryLater(f"no connection to the provider ({type(cause).__name__})")
    return Unknown(f"the provider did not answer ({type(cause).__name__})")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _exchange_seconds(timeout: httpx.Timeout) -> float:
    # A server that drips a byte a second never meets the read timeout; this ends it.
    return sum(part for part in (timeout.pool, timeout.connect, timeout.read) if part is not None)
