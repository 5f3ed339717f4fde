"""The sandbox providers' routes. A request is read, recorded and then answered, in that order."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Address
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from engage_pipeline.channels.sandbox.behaviour import Behaviour, Fault
from engage_pipeline.channels.sandbox.dialects import (
    BolnaDialect,
    Dialect,
    Order,
    Reply,
    ResendDialect,
    WhatsAppDialect,
)
from engage_pipeline.channels.sandbox.record import Entry, Kind, Record, address_key, utc_now

_PAGE_MAXIMUM = 50  # Bolna: "Maximum allowed is 50"

Endpoint = Callable[[Request], Awaitable[Response]]


class Sandbox:
    """Three providers with one record.

    Attributes:
        behaviour: may be replaced while the sandbox runs.
        drop_line: closes the connection from an address without answering; the server sets it.
    """

    def __init__(self, record: Record, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.drop_line: Callable[[Address | None], None] = _no_line
        self._record = record
        self._request_count = 0
        self._keys_in_flight: set[str] = set()
        self._resend = ResendDialect()

    def app(self) -> Starlette:
        """The ASGI application."""
        messages = "/whatsapp/{version}/{phone_number_id}/messages"
        return Starlette(
            routes=[
                Route("/bolna/call", self._endpoint(BolnaDialect()), methods=["POST"]),
                Route(messages, self._endpoint(WhatsAppDialect()), methods=["POST"]),
                Route("/resend/emails", self._send_email, methods=["POST"]),
                Route("/bolna/v2/agent/{agent_id}/executions", self._executions),
                Route("/bolna/executions/{execution_id}", self._execution),
                Route("/record/summary", self._summary),
                Route("/health", self._health),
            ]
        )

    def _endpoint(self, dialect: Dialect) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            order = dialect.read(await _json(request), request.headers)
            if isinstance(order, Reply):
                return _response(order)
            return await self._serve(request, dialect, order)

        return endpoint

    async def _send_email(self, request: Request) -> Response:
        order = self._resend.read(await _json(request), request.headers)
        if isinstance(order, Reply):
            return _response(order)
        key = order.idempotency_key
        if key is None:
            return await self._serve(request, self._resend, order)
        if key in self._keys_in_flight:
            return _response(self._resend.in_flight())
        self._keys_in_flight.add(key)
        try:
            return await self._serve(request, self._resend, order)
        finally:
            self._keys_in_flight.discard(key)

    async def _serve(self, request: Request, dialect: Dialect, order: Order) -> Response:
        self._request_count += 1
        fault = self.behaviour.fault(self._request_count)
        if self.behaviour.latency_ms:
            await asyncio.sleep(self.behaviour.latency_ms / 1000)
        if fault is None:
            return await self._treat_by_address(request, dialect, order)
        if fault.startswith("accepts"):
            self._answer(dialect, order)
        return await self._commit_fault(fault, request, dialect, order)

    async def _treat_by_address(self, request: Request, dialect: Dialect, order: Order) -> Response:
        conduct = self.behaviour.conduct(order.address)
        if conduct.is_refused:
            return self._refuse(dialect, order)
        subject = order.reference or address_key(order.address)
        if conduct.is_deferred_once and not self._record.was_deferred(dialect.provider, subject):
            return self._defer(dialect, order)
        reply = self._answer(dialect, order)
        if conduct.is_dropped_after_acceptance:
            return await self._drop(request)
        return _response(reply)

    def _answer(self, dialect: Dialect, order: Order) -> Reply:
        """Act, unless the idempotency key says that it was done before; recorded when this returns."""
        earlier = self._record.keyed_effect(order.idempotency_key, now=utc_now()) if order.idempotency_key else None
        if earlier is None:
            provider_message_id = dialect.new_id()
            self._write("effect", dialect, order, provider_message_id)
            return dialect.accepted(order, provider_message_id)
        if earlier.fingerprint != order.fingerprint:
            return self._resend.other_body()
        self._write("replayed", dialect, order, earlier.provider_message_id)
        return dialect.accepted(order, earlier.provider_message_id or "")

    async def _commit_fault(self, fault: Fault, request: Request, dialect: Dialect, order: Order) -> Response:
        match fault:
            case "refuses":
                return self._refuse(dialect, order)
            case "defers":
                return self._defer(dialect, order)
            case "hangs" | "accepts then hangs":
                return await _wait_for_the_caller_to_leave(request)
            case "drops the line" | "accepts then drops the line":
                return await self._drop(request)
            case "html":
                return HTMLResponse("<html><body><h1>It works!</h1></body></html>")
            case "200 with error body":
                return JSONResponse(dialect.failed().body)
            case "unavailable":
                return JSONResponse(dialect.failed().body, status_code=503, headers={"Retry-After": "7"})
            case "fails" | "accepts then fails":
                return _response(dialect.failed())

    def _refuse(self, dialect: Dialect, order: Order) -> Response:
        self._write("refused", dialect, order, None)
        return _response(dialect.refused())

    def _defer(self, dialect: Dialect, order: Order) -> Response:
        self._write("deferred", dialect, order, None)
        return _response(dialect.deferred())

    async def _drop(self, request: Request) -> Response:
        self.drop_line(request.client)
        return await _wait_for_the_caller_to_leave(request)

    def _write(self, kind: Kind, dialect: Dialect, order: Order, provider_message_id: str | None) -> None:
        self._record.append(
            Entry(
                kind=kind,
                provider=dialect.provider,
                reference=order.reference,
                provider_message_id=provider_message_id,
                address_key=address_key(order.address),
                at=utc_now().isoformat(),
                idempotency_key=order.idempotency_key,
                fingerprint=order.fingerprint,
                agent_id=order.agent_id,
                to_number=order.to_number,
            )
        )

    async def _executions(self, request: Request) -> Response:
        query = request.query_params
        try:
            begin = _instant(query.get("from"), utc_now() - timedelta(days=7))
            end = _instant(query.get("to"), utc_now())
            number, size = int(query.get("page_number", 1)), int(query.get("page_size", 20))
        except ValueError as error:
            return JSONResponse({"error": 400, "message": str(error)}, status_code=400)
        if number < 1 or not 1 <= size <= _PAGE_MAXIMUM:
            return JSONResponse({"error": 400, "message": "page_number or page_size out of range"}, status_code=400)
        calls = self._record.executions(request.path_params["agent_id"], begin=begin, end=end)
        page = calls[(number - 1) * size : number * size]
        return JSONResponse(
            {
                "data": [_listed(call) for call in page],
                "total": len(calls),
                "has_more": number * size < len(calls),
                "page_number": number,
                "page_size": size,
            }
        )

    async def _execution(self, request: Request) -> Response:
        call = self._record.execution(request.path_params["execution_id"])
        if call is None:
            return JSONResponse({"error": 404, "message": "Execution not found"}, status_code=404)
        return JSONResponse(
            {**_listed(call), "agent_id": call.agent_id, "context_details": {"action_log_id": call.reference}}
        )

    async def _summary(self, request: Request) -> Response:
        return JSONResponse(self._record.summary())

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _response(reply: Reply) -> Response:
    return JSONResponse(reply.body, status_code=reply.status, headers=reply.headers)


async def _wait_for_the_caller_to_leave(request: Request) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return Response()  # nobody is there to read it


def _listed(call: Entry) -> dict[str, Any]:
    return {
        "id": call.provider_message_id,
        "status": "queued",
        "conversation_duration": 0.0,
        "created_at": call.at,
        "telephony_data": {"to_number": call.to_number},
    }


def _instant(text: str | None, default: datetime) -> datetime:
    if text is None:
        return default
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _no_line(client: Address | None) -> None:
    raise RuntimeError("only a server can drop a line")
