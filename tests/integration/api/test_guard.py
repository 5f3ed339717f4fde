"""What stands in front of the endpoints: limits, sizes, slow bodies, headers, CORS, and errors without a trace."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from starlette.testclient import TestClient

from engage_pipeline.api.app import create_app
from engage_pipeline.api.routes import flows as flow_routes
from engage_pipeline.database.connections import Connection
from engage_pipeline.settings import Settings
from tests.integration.api.conftest import FLOWS, SECRET, Api, flow


@pytest.fixture
def make_api(database: str, connection: Connection, tmp_path: Path) -> Iterator[Any]:
    """Makes the API with settings of a test's own."""
    clients: list[TestClient] = []

    def make(**settings: Any) -> Api:
        chosen = Settings(home=tmp_path, database_url=database, jwt_secret=SECRET, **settings)
        client = TestClient(create_app(chosen, database), raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return Api(chosen, database, connection, client)

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def test_a_token_has_so_many_requests_a_minute(make_api):
    api = make_api(api_token_requests_per_minute=3)
    token = {"Authorization": f"Bearer {api.token()}"}
    statuses = [api.client.get(FLOWS, headers=token).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = api.client.get(FLOWS, headers=token)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["code"] == "too-many-requests"
    assert api.get(FLOWS).status_code == 200


def test_an_address_has_so_many_requests_a_minute_with_a_token_or_without(make_api):
    api = make_api(api_address_requests_per_minute=3)
    assert [api.client.get(FLOWS).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert api.get(FLOWS).status_code == 429
    # Providers come in bursts, and the webhooks beside the API are none of its business.
    assert api.client.get("/health").status_code == 200


def test_a_body_may_be_so_large(make_api):
    api = make_api(api_body_bytes=2000, api_upload_bytes=4000)
    large = flow(description="x" * 3000)
    assert api.post(FLOWS, large).json()["code"] == "body-too-large"

    def pieces() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(100):
            yield b"x" * 100

    streamed = api.call("POST", FLOWS, content=pieces(), headers={"Content-Type": "application/json"})
    assert (streamed.status_code, streamed.json()["code"]) == (413, "body-too-large")
    fits = api.call("POST", "/api/uploads", files={"file": ("leads.csv", b"email\n" + b"x" * 2500)})
    assert fits.status_code == 202, fits.text
    too_large = api.call("POST", "/api/uploads", files={"file": ("more.csv", b"email\n" + b"x" * 5000)})
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body-too-large")
    assert [path.name for path in (api.settings.inbox / "acme").iterdir()] == ["leads.csv"]


async def test_a_body_that_does_not_come_is_given_up(database, connection, tmp_path):
    settings = Settings(home=tmp_path, database_url=database, jwt_secret=SECRET, api_receive_seconds=0.2)
    app = create_app(settings, database)

    async def slowly():
        yield b"{"
        await asyncio.sleep(5)

    async with app.router.lifespan_context(app):
        api = Api(settings, database, connection, TestClient(app))
        async with httpx.AsyncClient(transport=SlowTransport(app), base_url="http://api.example.com") as client:
            answer = await client.post(
                FLOWS,
                content=slowly(),
                headers={"Authorization": f"Bearer {api.token()}", "Content-Type": "application/json"},
            )
    assert (answer.status_code, answer.json()["code"]) == (408, "body-too-slow")


class SlowTransport(httpx.AsyncBaseTransport):
    """Hands a body over as it comes; the transport of httpx itself would wait for the whole of it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pieces = request.stream.__aiter__()  # type: ignore[union-attr]
        sent: list[Any] = []

        async def receive() -> Any:
            try:
                return {"type": "http.request", "body": await pieces.__anext__(), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "server": ("api.example.com", 80),
            "client": ("192.0.2.7", 5000),
            "root_path": "",
        }
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


def test_answers_carry_the_headers_that_keep_browsers_careful(api: Api):
    for answer in (api.get(FLOWS), api.client.get(FLOWS), api.client.get("/api/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in api.get(FLOWS).headers


def test_browsers_of_other_origins_are_let_in_by_the_settings(make_api, api: Api):
    asked = {"Origin": "https://console.example.com", "Access-Control-Request-Method": "PATCH"}
    assert "access-control-allow-origin" not in api.client.options(FLOWS, headers=asked).headers
    open_api = make_api(cors_origins="https://console.example.com, https://other.example.com")
    preflight = open_api.client.options(FLOWS, headers={**asked, "Access-Control-Request-Headers": "if-match"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://console.example.com"
    stranger = open_api.client.options(FLOWS, headers={**asked, "Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in stranger.headers


def test_what_nobody_foresaw_shows_no_trace_and_logs_no_person(api: Api, monkeypatch, caplog):
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("ada@example.com cannot be reached at +12025550171")

    monkeypatch.setattr(flow_routes, "page_of_flows", fails)
    with caplog.at_level(logging.ERROR, logger="engage.api"):
        answer = api.get(FLOWS)
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "RuntimeError" not in answer.text
    assert "RuntimeError" in caplog.text
    assert "ada@example.com" not in caplog.text
    assert "2025550171" not in caplog.text


def test_a_database_that_is_away_is_503(api: Api, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(flow_routes, "page_of_flows", fails)
    answer = api.get(FLOWS)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.headers["retry-after"]


def test_a_statement_that_takes_too_long_is_ended(make_api, monkeypatch):
    api = make_api(api_statement_seconds=0.1)

    def slow(connection: Connection, *_: object, **__: object) -> None:
        connection.execute("select pg_sleep(5)")

    monkeypatch.setattr(flow_routes, "page_of_flows", slow)
    answer = api.get(FLOWS)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b'{"name": ' + b"[" * 100_000, 400), (b"\xff\xfe", 400), (b"[]", 422), (b"", 422)],
)
def test_a_body_that_is_no_such_json_is_refused(api: Api, content, status):
    answer = api.call("POST", FLOWS, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_another_type_is_refused(api: Api):
    answer = api.call("POST", FLOWS, content=b"name=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json()["code"]) == (415, "wrong-media-type")


def test_no_secret_and_no_token_is_logged_or_shown(api: Api, caplog):
    token = api.token()
    with caplog.at_level(logging.DEBUG):
        api.client.get(FLOWS, headers={"Authorization": f"Bearer {token}"})
        api.client.get(FLOWS, headers={"Authorization": f"Bearer {token}x"})
        api.client.get("/api/nothing")
    assert token not in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(api.settings)
    assert "GET /api/auto-engagement/flows 200" in caplog.text


def test_webhooks_and_unsubscribe_links_are_served_beside_the_api(api: Api):
    assert api.client.get("/health").json() == {"status": "ok"}
    assert api.client.post("/webhooks/bolna/nothing").status_code == 404
    assert api.client.get("/unsubscribe/nothing").status_code == 404
