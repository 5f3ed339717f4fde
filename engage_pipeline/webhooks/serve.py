"""Runs the webhook application in this process, on 127.0.0.1; a proxy in front of it makes it public."""

import logging
import signal

import uvicorn
from starlette.types import ASGIApp

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import unsubscribe_links
from engage_pipeline.database.connections import database_url
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.app import WebhookApp
from engage_pipeline.webhooks.endpoints import Endpoints

_STOP_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server = webhook_server(settings, database_url(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()


def webhook_server(settings: Settings, url: str, *, port: int | None = None) -> uvicorn.Server:
    """The HTTP server of the webhooks alone, not yet running."""
    keyring = Keyring(settings)
    app = WebhookApp(url, Endpoints(url, keyring), unsubscribe_links(settings, keyring)).app()
    return http_server(app, settings, port=port)


def http_server(app: ASGIApp, settings: Settings, *, port: int | None, keep_alive_seconds: int = 5) -> uvicorn.Server:
    """A server of `app` on loopback, not yet running.

    uvicorn's own access log would show paths with their tokens, so it is off and the application writes its own. It
    takes the sender's address from X-Forwarded-For only where a configured proxy is at the other end.
    """
    proxies = [each.strip() for each in settings.trusted_proxies.split(",") if each.strip() not in ("", "none")]
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=settings.webhook_port if port is None else port,
            ws="none",
            access_log=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            server_header=False,
            log_level="warning",
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
