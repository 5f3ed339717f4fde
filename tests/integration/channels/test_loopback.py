"""Nothing leaves this machine, whatever the address and the environment say."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest

from engage_pipeline.channels.http import Endpoint, NotLoopback, ProviderClient, exchange, open_client
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.registry import sandbox_channels

WATCHED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_seen: list[tuple[str, object]] | None = None


def _watch(event, arguments):
    if _seen is not None and event in WATCHED:
        _seen.append((event, arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]))


sys.addaudithook(_watch)


@pytest.fixture
def sockets():
    """Every connection and every look-up of a name while the test runs."""
    global _seen
    _seen = []
    yield _seen
    _seen = None


def client():
    return open_client(connections=4, queue_seconds=2, connect_seconds=1, answer_seconds=2)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/",
        "https://198.51.100.7/",
        "http://api.example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@192.0.2.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[2001:db8::1]/",
        "http://[::ffff:192.0.2.1]/",
        "http://169.254.169.254/",
        "ftp://127.0.0.1/",
    ],
)
async def test_an_address_off_this_machine_is_refused_before_any_socket_or_name(url, sockets):
    async with client() as http:
        with pytest.raises(NotLoopback) as caught:
            await exchange(http, "POST", url, body={})
    assert caught.value.code == "not-loopback"
    assert "ENGAGE_SANDBOX_URL" in caught.value.fix
    assert sockets == []


LIVE = Endpoint("https://api.example.com", "planted-key", is_live=True)


class Beneath:
    """Stands where the connections are, so that nothing goes out: it keeps the address of each request."""

    def __init__(self):
        self.seen = []

    @asynccontextmanager
    async def request(self, method, url, **options):
        self.seen.append(str(url))
        yield SimpleNamespace(status=200, raw_headers=(), read=self._body)

    async def _body(self):
        return b'{"id": "m-1"}'


def reached(endpoint, path="/emails", **changes):
    """The address that a request of the endpoint reaches beneath the rule, or what refuses it."""
    beneath = Beneath()
    client = ProviderClient(beneath, exchange_seconds=1)
    asyncio.run(replace(endpoint, **changes).exchange(client, "POST", path, body={}))
    return beneath.seen


def test_a_live_account_reaches_its_own_host_over_https():
    assert reached(LIVE) == ["https://api.example.com/emails"]


@pytest.mark.parametrize(
    "changes",
    [
        {"is_live": False},
        {"base_url": "http://api.example.com"},
        {"base_url": "ftp://api.example.com"},
        {"base_url": "http://api.example.com", "is_live": False},
    ],
)
def test_without_https_or_without_being_live_it_reaches_nothing(changes):
    with pytest.raises(NotLoopback):
        reached(LIVE, **changes)


@pytest.mark.parametrize(
    "url", ["https://other.example.com/emails", "https://api.example.com.evil.example/", "https://192.0.2.1/"]
)
async def test_a_live_account_reaches_no_other_host(url, sockets):
    async with client() as http:
        with pytest.raises(NotLoopback):
            await exchange(http, "POST", url, body={}, live_host="api.example.com")
    assert sockets == []


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1", "http://api.example.com", "ftp://127.0.0.1", "127.0.0.1:8900", "http://["]
)
def test_the_sandbox_channels_are_on_this_machine_or_not_made(url):
    with pytest.raises(NotLoopback):
        sandbox_channels(url)


def test_there_is_a_channel_for_every_type_of_action_that_reaches_someone():
    channels = sandbox_channels("http://localhost:8900/")
    assert set(channels) == {"ai_call", "whatsapp_message", "email"}
    assert {channel.endpoint.base_url for channel in channels.values()} == {
        "http://127.0.0.1:8900/bolna",
        "http://127.0.0.1:8900/whatsapp",
        "http://127.0.0.1:8900/resend",
    }


async def test_localhost_is_the_loopback_address_without_a_look_up(sandbox, sockets):
    async with client() as http:
        response = await exchange(http, "GET", f"http://localhost:{sandbox.port}/health")
    assert response.status_code == 200
    assert sockets == [("socket.connect", ("127.0.0.1", sandbox.port))]


async def test_proxies_and_credentials_of_the_environment_are_never_used(sandbox, sockets, tmp_path, monkeypatch):
    trap = socket.create_server(("127.0.0.1", 0))
    proxy = f"http://planted:secret@127.0.0.1:{trap.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("RESEND_API_KEY", "BOLNA_API_KEY", "WHATSAPP_TOKEN"):
        monkeypatch.setenv(name, "planted-secret")
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login planted password secret\ndefault login planted password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    recipient = Recipient(phone_e164="+15550100123", email="asha@example.com")
    config = {"agent_id": "a", "phone_number_id": "+15550100000", "template_id": "t"}
    async with client() as http:
        for channel in sandbox_channels(sandbox.url).values():
            reference = str(uuid4())
            request = channel.prepare(recipient, config, reference=reference)
            await channel.send(http, request, reference=reference)
    trap.close()
    assert len(sandbox.effects()) == 3
    assert {event for event in sockets if event[0] != "socket.connect"} == set()
    assert {address for _, address in sockets} == {("127.0.0.1", sandbox.port)}
    for headers in sandbox.headers_received:
        assert headers["user-agent"] == "engage-pipeline/0.1.0"
        assert headers["authorization"] == "Bearer nobody"
        assert not {"proxy-authorization", "cookie"} & set(headers)
        assert "secret" not in repr(headers)
    assert len(sandbox.headers_received) == 3
