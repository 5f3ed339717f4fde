"""What each failure of the network becomes, on real sockets: TryLater only while nothing can have been sent."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from engage_pipeline.channels.answers import TryLater, Unknown
from engage_pipeline.channels.http import exchange, open_client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers the nth connection's requests as told, and counts the requests that reached it."""

    def __init__(self, behave):
        self.request_count = 0
        self._behave = behave

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
                self.request_count += 1
                if await self._behave(self.request_count, writer) == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(behave):
    counting = Server(behave)
    server = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
    counting.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield counting
    finally:
        server.close()


def client(**changes):
    return open_client(**{"connections": 4, "queue_seconds": 2, "connect_seconds": 1, "answer_seconds": 0.3, **changes})


async def close_without_answering(number, writer):
    return "close"


async def reset(number, writer):
    writer.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    )
    writer.transport.abort()
    return "close"


async def hang(number, writer):
    await asyncio.sleep(5)


async def drip(number, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await asyncio.sleep(0.1)


async def die_in_the_body(number, writer):
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"')
    await writer.drain()
    return "close"


async def speak_another_protocol(number, writer):
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()
    return "close"


async def garble_the_encoding(number, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")


FAILURES = [close_without_answering, reset, hang, drip, die_in_the_body, speak_another_protocol, garble_the_encoding]


@pytest.mark.parametrize("behave", FAILURES)
async def test_a_failure_after_the_request_was_written_is_unknown_and_never_sent_twice(behave):
    async with serving(behave) as server, client(queue_seconds=0.5, connect_seconds=0.5) as http:
        answer = await exchange(http, "POST", server.url, body={})
        assert isinstance(answer, Unknown), answer
        assert server.request_count == 1


@pytest.mark.parametrize("behave", [close_without_answering, reset])
async def test_a_reused_connection_that_the_server_closes_is_unknown_and_never_sent_twice(behave):
    async def second_time(number, writer):
        if number == 1:
            writer.write(OK)
            return None
        return await behave(number, writer)

    async with serving(second_time) as server, client() as http:
        first = await exchange(http, "POST", server.url, body={})
        assert first.status_code == 200
        assert isinstance(await exchange(http, "POST", server.url, body={}), Unknown)
        assert server.request_count == 2


async def test_a_refused_connection_is_try_later():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with client() as http:
            answer = await exchange(http, "POST", f"http://127.0.0.1:{unused.getsockname()[1]}", body={})
    assert isinstance(answer, TryLater)


async def test_a_connection_that_is_never_made_is_try_later():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        blockers = [socket.socket() for _ in range(4)]
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(address)
        async with client(connect_seconds=0.2, answer_seconds=5) as http:
            answer = await exchange(http, "POST", f"http://127.0.0.1:{address[1]}", body={})
        for blocker in blockers:
            blocker.close()
    assert isinstance(answer, TryLater)


async def test_a_request_that_waited_too_long_for_a_connection_is_try_later():
    async with serving(hang) as server, client(connections=1, queue_seconds=0.2, answer_seconds=1) as http:
        answers = await asyncio.gather(*(exchange(http, "POST", server.url, body={}) for _ in range(3)))
        assert sorted(type(answer).__name__ for answer in answers) == ["TryLater", "TryLater", "Unknown"]
        assert server.request_count == 1


async def test_a_cancelled_request_stays_cancelled():
    async with serving(hang) as server, client(answer_seconds=5) as http:
        asking = asyncio.create_task(exchange(http, "POST", server.url, body={}))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_no_reason_names_an_address():
    async with client() as http:
        answer = await exchange(http, "POST", "http://127.0.0.1:1/15550100123", body={})
    assert answer.reason == "no connection to the provider (ClientConnectorError)"
