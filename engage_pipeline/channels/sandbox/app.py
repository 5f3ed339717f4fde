"""The sandbox providers' routes. A request is read, recorded and then answered, in that order."""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

from starlette.applications import Starlette
from starlette.datastructures import Address
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from engage_pipeline.channels.sandbox.behaviour import Behaviour, Fault
from engage_pipeline.channels.sandbox.course import ENDINGS, Course, course_of, outcome_of_test_address
from engage_pipeline.channels.sandbox.dialects import (
    BolnaDialect,
    Dialect,
    Order,
    Reply,
    ResendDialect,
    SendGridDialect,
    WhatsAppDialect,
)
from engage_pipeline.channels.sandbox.keys import read_key
from engage_pipeline.channels.sandbox.record import Entry, Kind, Provider, Record, address_key, utc_now
from engage_pipeline.channels.sandbox.telling import Subject, Teller, execution_body

_OUTCOME_HEADER = "x-sandbox-outcome"
"""A request may ask for its last status, in the provider's word."""

_FAULT_HEADER = "x-sandbox-fault"
"""A request may ask for one of `behaviour.Fault`."""

_LATENCY_HEADER = "x-sandbox-latency-ms"
"""A request may ask to be answered so much later."""

_LONGEST_LATENCY_MS = 600_000

_KEPT_REQUESTS = 1_000

_PAGE_MAXIMUM = 50  # Bolna: "Maximum allowed is 50"

Endpoint = Callable[[Request], Awaitable[Response]]


class _Rate:
    """A bucket of one second's requests."""

    def __init__(self) -> None:
        self._left, self._at = 0.0, float("-inf")

    def takes_one(self, per_second: float) -> bool:
        now = time.monotonic()
        self._left = min(max(per_second, 1.0), self._left + (now - self._at) * per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sandbox:
    """The providers with one record.

    Attributes:
        drop_line: closes the connection from an address without answering; the server sets it.
        teller: sends webhooks; None sends none.
    """

    def __init__(self, record: Record, behaviour: Behaviour, *, webhook_url: str | None = None) -> None:
        self.drop_line: Callable[[Address | None], None] = _no_line
        self.teller = None if webhook_url is None else Teller(webhook_url, behaviour)
        self._behaviour = behaviour
        self._began = time.monotonic()
        self._rates: dict[str, _Rate] = defaultdict(_Rate)
        self._received: deque[dict[str, Any]] = deque(maxlen=_KEPT_REQUESTS)
        self._calls_placed = 0
        self._stopped: set[str] = set()
        self._record = record
        self._request_count = 0
        self._keys_in_flight: set[str] = set()
        self._resend = ResendDialect()

    @property
    def behaviour(self) -> Behaviour:
        """How it treats requests; may be replaced while it runs."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        if self.teller is not None:
            self.teller.behaviour = behaviour

    def app(self) -> Starlette:
        """The ASGI application."""
        bolna, messages = BolnaDialect(), "/whatsapp/{version}/{phone_number_id}/messages"
        return Starlette(
            routes=[
                Route("/bolna/call", self._endpoint(bolna), methods=["POST"]),
                Route("/bolna/call/{execution_id}/stop", _keyed(bolna, self._stop_call), methods=["POST"]),
                Route("/bolna/user/me", _keyed(bolna, self._account)),
                Route(messages, self._endpoint(WhatsAppDialect()), methods=["POST"]),
                Route("/resend/emails", self._send_email, methods=["POST"]),
                Route("/resend/emails/{email_id}", _keyed(self._resend, self._email)),
                Route("/sendgrid/v3/mail/send", self._endpoint(SendGridDialect()), methods=["POST"]),
                Route("/record/requests", self._requests),
                Route("/bolna/v2/agent/{agent_id}/executions", _keyed(bolna, self._executions)),
                Route("/bolna/executions/{execution_id}", _keyed(bolna, self._execution)),
                Route("/record/summary", self._summary),
                Route("/health", self._health),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        if self.teller is not None:
            await self.teller.close()

    def _endpoint(self, dialect: Dialect) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            order = await self._order(request, dialect)
            if isinstance(order, Reply):
                return _response(order)
            return await self._serve(request, dialect, order)

        return endpoint

    async def _send_email(self, request: Request) -> Response:
        order = await self._order(request, self._resend)
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

    async def _order(self, request: Request, dialect: Dialect) -> Order | Reply:
        """The request as the provider understands it, kept for whoever asks what was received."""
        body = await _json(request)
        self._received.append(
            {
                "provider": dialect.provider,
                "path": request.url.path,
                "headers": {name: value for name, value in request.headers.items() if name != "authorization"},
                "body": body,
                "at": utc_now().isoformat(),
            }
        )
        return _complaint_of_key(request, dialect) or dialect.read(body, request.headers)

    async def _serve(self, request: Request, dialect: Dialect, order: Order) -> Response:
        self._request_count += 1
        rate = self.behaviour.requests_per_second.get(dialect.provider)
        if rate is not None and not self._rates[dialect.provider].takes_one(rate):
            return self._defer(dialect, order)
        try:
            fault, latency_ms = _wishes(request, dialect.provider)
        except ValueError as error:
            return JSONResponse({"error": 400, "message": str(error)}, status_code=400)
        fault = fault or self.behaviour.fault(self._request_count, age_seconds=time.monotonic() - self._began)
        latency_ms = self.behaviour.latency_ms if latency_ms is None else latency_ms
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        if fault is None:
            return await self._treat_by_address(request, dialect, order)
        if fault.startswith("accepts"):
            self._answer(request, dialect, order)
        return await self._commit_fault(fault, request, dialect, order)

    async def _treat_by_address(self, request: Request, dialect: Dialect, order: Order) -> Response:
        conduct = self.behaviour.conduct(order.address)
        if conduct.is_refused:
            return self._refuse(dialect, order)
        subject = order.reference or address_key(order.address)
        if conduct.is_deferred_once and not self._record.was_deferred(dialect.provider, subject):
            return self._defer(dialect, order)
        reply = self._answer(request, dialect, order)
        if conduct.is_dropped_after_acceptance:
            return await self._drop(request)
        return _response(reply)

    def _answer(self, request: Request, dialect: Dialect, order: Order) -> Reply:
        """Act, unless the idempotency key says that it was done before; recorded when this returns."""
        earlier = self._record.keyed_effect(order.idempotency_key, now=utc_now()) if order.idempotency_key else None
        if earlier is None:
            provider_message_id = dialect.new_id()
            forced = request.headers.get(_OUTCOME_HEADER) or outcome_of_test_address(order.address)
            self._write("effect", dialect, order, provider_message_id, forced=self._ending(dialect, forced))
            self._tell(request, order, provider_message_id)
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

    def _ending(self, dialect: Dialect, forced: str | None) -> str | None:
        """What the request asked for; of calls beyond the wallet `balance-low`."""
        if dialect.provider != "bolna":
            return forced
        self._calls_placed += 1
        most = self.behaviour.balance_low_after
        return "balance-low" if most is not None and self._calls_placed > most else forced

    def _tell(self, request: Request, order: Order, provider_message_id: str) -> None:
        key, done = read_key(request.headers.get("authorization")), self._record.effect(provider_message_id)
        if self.teller is not None and key is not None and done is not None:
            course = self._course(*done)
            self.teller.tell(Subject(done[0], order.address, course, key, order.sender, order.subject))

    def _course(self, entry: Entry, ordinal: int) -> Course:
        at = datetime.fromisoformat(entry.at)
        return course_of(self.behaviour, entry.provider, entry.address_key, ordinal, at=at, forced=entry.forced)

    def _write(
        self,
        kind: Kind,
        dialect: Dialect,
        order: Order,
        provider_message_id: str | None,
        *,
        forced: str | None = None,
    ) -> None:
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
                forced=forced,
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
        done = self._record.effect(request.path_params["execution_id"])
        if done is None or done[0].provider != "bolna":
            return JSONResponse({"error": 404, "message": "Execution not found"}, status_code=404)
        status, now = self._status(done[0], done[1]), utc_now()
        return JSONResponse(execution_body(done[0], self._course(*done), status, now=now))

    async def _stop_call(self, request: Request) -> Response:
        """Only a call that is still queued can be stopped."""
        execution_id = request.path_params["execution_id"]
        done = self._record.effect(execution_id)
        if done is None or done[0].provider != "bolna":
            return JSONResponse({"error": 404, "message": "Execution not found"}, status_code=404)
        if self._status(*done) != "queued":
            return JSONResponse({"error": 400, "message": "Call is not queued or scheduled"}, status_code=400)
        self._stopped.add(execution_id)
        return JSONResponse({"message": "done", "status": "stopped", "execution_id": execution_id})

    async def _account(self, request: Request) -> Response:
        return JSONResponse(
            {
                "id": "00000000-0000-4000-8000-000000000000",
                "name": "Sandbox",
                "email": "sandbox@example.com",
                "wallet": 1000,
                "concurrency": {"max": self.behaviour.concurrency, "current": 0},
            }
        )

    async def _email(self, request: Request) -> Response:
        done = self._record.effect(request.path_params["email_id"])
        if done is None or done[0].provider != "resend":
            return JSONResponse({"statusCode": 404, "name": "not_found", "message": "Email not found"}, status_code=404)
        entry = done[0]
        # A resend body is never kept, so its sender, subject and text are not given back.
        return JSONResponse(
            {
                "object": "email",
                "id": entry.provider_message_id,
                "to": [],
                "created_at": entry.at,
                "last_event": self._status(*done),
            }
        )

    def _status(self, entry: Entry, ordinal: int) -> str:
        if entry.provider_message_id in self._stopped:
            return "stopped"
        age = (utc_now() - datetime.fromisoformat(entry.at)).total_seconds()
        return self._course(entry, ordinal).status_at(age)

    async def _requests(self, request: Request) -> Response:
        """The last requests that were received, the newest first, by `provider` and at most `limit`."""
        query = request.query_params
        wanted = [each for each in reversed(self._received) if query.get("provider") in (None, each["provider"])]
        return JSONResponse({"requests": wanted[: int(query.get("limit", _KEPT_REQUESTS))]})

    async def _summary(self, request: Request) -> Response:
        told = {} if self.teller is None else {"webhooks": self.teller.counts}
        return JSONResponse({**self._record.summary(), **told})

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})


def _complaint_of_key(request: Request, dialect: Dialect) -> Reply | None:
    """Every key is good but one that begins with "invalid"."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key or key.startswith("invalid"):
        return dialect.unauthorised(is_missing=not key)
    return None


def _wishes(request: Request, provider: Provider) -> tuple[Fault | None, float | None]:
    """The fault and the milliseconds that the request asks for.

    Raises:
        ValueError: there is no such fault, time or outcome.
    """
    outcome = request.headers.get(_OUTCOME_HEADER)
    if outcome is not None and outcome not in ENDINGS[provider]:
        raise ValueError(f"there is no outcome {outcome!r}; use one of: {', '.join(sorted(ENDINGS[provider]))}")
    fault, latency = request.headers.get(_FAULT_HEADER), request.headers.get(_LATENCY_HEADER)
    if fault is not None and fault not in get_args(Fault):
        raise ValueError(f"there is no fault {fault!r}; use one of: {', '.join(get_args(Fault))}")
    latency_ms = None if latency is None else float(latency)
    if latency_ms is not None and not 0 <= latency_ms <= _LONGEST_LATENCY_MS:
        raise ValueError(f"a latency is from 0 to {_LONGEST_LATENCY_MS} milliseconds")
    return cast("Fault | None", fault), latency_ms


def _keyed(dialect: Dialect, endpoint: Endpoint) -> Endpoint:
    """`endpoint` for whoever has a key."""

    async def keyed(request: Request) -> Response:
        complaint = _complaint_of_key(request, dialect)
        return await endpoint(request) if complaint is None else _response(complaint)

    return keyed


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _response(reply: Reply) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status, headers=reply.headers)
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
