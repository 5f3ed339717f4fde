"""Runs the API and the webhook application in this process, on 127.0.0.1; a proxy makes them public."""

import gc
import logging
import signal

import uvicorn

from engage_pipeline.api.app import create_app, tenant_database
from engage_pipeline.database.connections import database_url
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.serve import http_server


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        JwtKeyMissing, JwtKeyUnfit: nobody has said, or not properly, how tokens are signed.
        ApiRoleUnreachable, UnsafeApiRole: the role of the API is not as it must be.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # They write down every request, the pool twice.
    for name in ("httpx", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.WARNING)
    url = database_url(settings)
    server = api_server(settings, url)
    # Before the server is up, so that what is wrong is said in words and not in its log.
    check_role(settings, url)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What was imported stays for good; without this the collector would pass over all of it now and then, for tens of
    # milliseconds in which no request is answered.
    gc.collect()
    gc.freeze()
    server.run()


def check_role(settings: Settings, url: str) -> None:
    """Connect once as the API will.

    Raises:
        ApiRoleUnreachable, UnsafeApiRole: the role is not as it must be.
    """
    database = tenant_database(settings, url)
    database.open()
    database.close()


def api_server(settings: Settings, url: str, *, port: int | None = None) -> uvicorn.Server:
    """The HTTP server of the API and the webhooks, not yet running."""
    app = create_app(settings, url)
    return http_server(app, settings, port=port, keep_alive_seconds=15)
