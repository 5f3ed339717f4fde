"""The webhook application: it verifies, stores and answers, and serves the page behind an unsubscribe link.

Nothing is applied here, so a provider has its answer within milliseconds. Its log names providers and statuses, never
a path, which holds the token.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from hmac import compare_digest
from html import escape
from ipaddress import ip_address, ip_network

import psycopg
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.webhooks import UnreadableWebhook
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.webhooks.endpoints import Endpoints, WebhookEndpoint
from engage_pipeline.webhooks.writer import EventWriter, StoreUnavailable

_LARGEST_BODY = 4 * 1024 * 1024
"""Meta's webhooks reach 3 MiB."""

log = logging.getLogger("engage.webhooks")


class WebhookApp:
    """The routes and what they need. `links` signs unsubscribe links."""

    def __init__(
        self, url: str, endpoints: Endpoints, links: UnsubscribeLinks, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._url, self._endpoints, self._links, self._clock = url, endpoints, links, clock
        self._writer = EventWriter(url)

    def app(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self._writer.start()
            # Without a database it starts all the same, and answers 5xx until there is one.
            with contextlib.suppress(psycopg.Error):
                await self._endpoints.read()
            yield
            await self._writer.close()

        return Starlette(
            routes=[
                Route("/webhooks/{provider}/{token}", self._receive, methods=["POST"]),
                Route("/webhooks/{provider}/{token}", self._shake_hands, methods=["GET"]),
                Route("/unsubscribe/{token}", self._show_unsubscribe, methods=["GET"]),
                Route("/unsubscribe/{token}", self._unsubscribe, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
            ],
            lifespan=lifespan,
        )

    async def _receive(self, request: Request) -> Response:
        began = time.perf_counter()
        response, words = await self._received(request)
        provider = request.path_params["provider"] if request.path_params["provider"] in PROVIDERS else "unknown"
        took_ms = (time.perf_counter() - began) * 1000
        log.info("POST /webhooks/%s/*** %d %s %.1f ms", provider, response.status_code, words, took_ms)
        return response

    async def _received(self, request: Request) -> tuple[Response, str]:
        try:
            endpoint = await self._endpoint(request)
        except psycopg.Error:
            return _refusal(503, "not stored, send it again"), "no database"
        webhooks = None if endpoint is None else PROVIDERS[endpoint.provider].webhooks
        if endpoint is None or webhooks is None:
            return _refusal(404, "not found"), "no such path"
        if not _is_allowed(request, endpoint):
            return _refusal(403, "forbidden"), "address not allowed"
        raw = await _body(request)
        if raw is None:
            return _refusal(413, "too large"), "too large"
        headers = dict(request.headers)
        secret = endpoint.credentials.get("webhook_secret", "")
        if not webhooks.is_authentic(raw, headers, secret, now=self._clock()):
            return _refusal(401, "the signature does not fit"), "bad signature"
        try:
            events = webhooks.split(raw, headers)
        except UnreadableWebhook:
            return _refusal(400, "not a webhook of this provider"), "unreadable"
        try:
            await self._writer.store(endpoint.account_id, events)
        except StoreUnavailable:
            # Every provider sends again what is answered with 5xx.
            return _refusal(503, "not stored, send it again"), "not stored"
        return JSONResponse({"stored": len(events)}), f"{len(events)} events"

    async def _shake_hands(self, request: Request) -> Response:
        """Meta's verification: the challenge comes back when the token is the account's."""
        try:
            endpoint, query = await self._endpoint(request), request.query_params
        except psycopg.Error:
            return _refusal(503, "try again in a minute")
        expected = "" if endpoint is None else endpoint.credentials.get("verify_token", "")
        given = query.get("hub.verify_token", "")
        if query.get("hub.mode") != "subscribe" or not expected:
            return _refusal(403, "forbidden")
        if not compare_digest(expected.encode(), given.encode()):
            return _refusal(403, "forbidden")
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def _show_unsubscribe(self, request: Request) -> Response:
        """Only a page: scanners of mail follow every link, so that a GET must not do anything."""
        token = request.path_params["token"]
        if self._links.action_log_id(token) is None:
            return _page("This link is not one of ours.", status=404)
        form = f'<form method="post" action="/unsubscribe/{escape(token)}"><button>Unsubscribe</button></form>'
        return _page("Stop receiving these e-mails?", form)

    async def _unsubscribe(self, request: Request) -> Response:
        """By the page's button, or by a mail program in one click (RFC 8058)."""
        action_log_id = self._links.action_log_id(request.path_params["token"])
        if action_log_id is None:
            return _page("This link is not one of ours.", status=404)

        def stop() -> bool:
            with connect(self._url, application_name="engage webhooks") as connection:
                no = ProviderOutcome(
                    "unsubscribe_link", None, action_log_id, "opted_out", self._clock(), is_opt_out=True
                )
                return not record_outcomes(connection, [no], now=self._clock())["unknown_id"]

        try:
            is_known = await asyncio.to_thread(stop)
        except psycopg.OperationalError:
            return _page("That did not work. Please try again in a minute.", status=503)
        return _page("You will get no more e-mails.") if is_known else _page("This link has expired.", status=404)

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _endpoint(self, request: Request) -> WebhookEndpoint | None:
        return await self._endpoints.find(request.path_params["provider"], request.path_params["token"])


def _is_allowed(request: Request, endpoint: WebhookEndpoint) -> bool:
    """Whether the sender's address is on the account's list; without a list every address is."""
    allowed = str(endpoint.settings.get("allowed_addresses") or "")
    if not allowed:
        return True
    try:
        sender = ip_address(request.client.host if request.client else "")
        return any(sender in ip_network(each.strip(), strict=False) for each in allowed.split(","))
    except ValueError:
        return False


async def _body(request: Request) -> bytes | None:
    """The raw bytes; None when there are more than any provider sends."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > _LARGEST_BODY:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)


def _refusal(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status)


def _page(words: str, form: str = "", *, status: int = 200) -> Response:
    return HTMLResponse(
        f"<!doctype html><meta charset=utf-8><meta name=robots content=noindex><title>E-mails</title>"
        f"<body style='font-family:sans-serif;margin:4em auto;max-width:30em'><p>{words}</p>{form}</body>",
        status_code=status,
        headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"},
    )
