"""Runs the sandbox providers in this process, on 127.0.0.1 only."""

import signal
import socket
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Address

from engage_pipeline.channels.sandbox.app import Sandbox
from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.record import Record
from engage_pipeline.errors import EngageError
from engage_pipeline.settings import Settings

_STOP_SECONDS = 2


class PortInUse(EngageError):
    """Something else listens on the sandbox's port."""

    code = "sandbox-port-in-use"

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            what=f"the sandbox could not listen on 127.0.0.1:{port}",
            why="the port is in use",
            fix="stop what uses it, or set ENGAGE_SANDBOX_URL to another port",
        )


def serve(settings: Settings, *, port: int | None = None, behaviour: Behaviour | None = None) -> None:
    """Serve until SIGTERM or SIGINT. The port is that of `settings.sandbox_url` unless given.

    Raises:
        PortInUse: something listens there already.
        RecordInUse, RecordDamaged: the record cannot be continued.
    """
    own_port = urlsplit(settings.sandbox_url).port or 80
    with listen(own_port if port is None else port) as listener, Record(settings.sandbox_record) as record:
        server = sandbox_server(Sandbox(record, behaviour or Behaviour(), webhook_url=settings.public_url))
        # uvicorn raises the signal again once it has stopped; by then it has done its work.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1; port 0 takes any free one.

    Raises:
        PortInUse: something listens there already.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise PortInUse(port) from error
    return listener


def sandbox_server(sandbox: Sandbox) -> uvicorn.Server:
    """The HTTP server of `sandbox`, not yet running."""
    server = uvicorn.Server(
        uvicorn.Config(
            sandbox.app(),
            # Its faults are made on this one's connections.
            http="h11",
            ws="none",
            access_log=False,
            proxy_headers=False,
            log_level="warning",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )

    def drop_line(client: Address | None) -> None:
        for connection in server.server_state.connections:
            if client is not None and getattr(connection, "client", None) == tuple(client):
                connection.transport.abort()

    sandbox.drop_line = drop_line
    return server
