"""The sandbox providers on a free loopback port, with faults to inject."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engage_pipeline.channels.sandbox.app import Sandbox
from engage_pipeline.channels.sandbox.behaviour import Behaviour, Fault
from engage_pipeline.channels.sandbox.record import Reading, Record, read_record
from engage_pipeline.channels.sandbox.serve import listen, sandbox_server
from engage_pipeline.channels.sandbox.telling import Teller
from engage_pipeline.database.connections import Connection
from tests.integration.ledger_world import World

OBLIGING = Behaviour(latency_ms=0, refused_share=0, deferred_share=0)


class SandboxInAThread:
    """A real HTTP server with the sandbox in it. `start` after `stop` is a restart on the same port and record."""

    def __init__(self, record_path: Path) -> None:
        self.record_path = record_path
        self._listener = listen(0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._behaviour = OBLIGING
        self.headers_received: list[dict[str, str]] = []
        self.start()

    def start(self) -> None:
        self._record = Record(self.record_path)
        self._sandbox = Sandbox(self._record, self._behaviour)
        self._server = sandbox_server(self._sandbox)
        self._server.config.app = self._noting_headers(self._server.config.app)
        listener = self._listener if self._listener.fileno() != -1 else listen(self.port)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        with self._record:
            self._listener.close()

    def behave(self, **changes: Any) -> None:
        """Change the behaviour; what is not named is obliging: no latency, no refusals."""
        self._behaviour = self._sandbox.behaviour = replace(OBLIGING, **changes)

    def tell(self, webhook_url: str) -> None:
        """Send webhooks there from now on."""
        self._sandbox.teller = Teller(webhook_url, self._sandbox.behaviour)

    def inject(self, fault: Fault | None, *, at_request: int | None = None) -> None:
        """Give every request the fault, or only the one with this number, counted from 1 since the start."""
        if at_request is None:
            self.behave(fault_of_all=fault)
        else:
            assert fault is not None
            self.behave(faults={at_request: fault})

    def _noting_headers(self, app: Any) -> Any:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            self.headers_received.append({name.decode(): value.decode() for name, value in scope["headers"]})
            await app(scope, receive, send)

        return noting

    def read(self) -> Reading:
        return read_record(self.record_path)

    def effects(self) -> Sequence[tuple[str | None, str | None]]:
        """(reference, provider_message_id) of everything that a provider did."""
        return self.read().effects


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxInAThread]:
    """The sandbox providers, obliging until told otherwise."""
    running = SandboxInAThread(tmp_path / "sandbox" / "requests.jsonl")
    yield running
    running.stop()


@pytest.fixture
def world(database: str, connection: Connection, sandbox: SandboxInAThread) -> World:
    """An installation with a tenant, the sandbox, and nothing in it yet."""
    return World(database, connection, sandbox)
