"""The local installation: embedded PostgreSQL, sandbox providers, Dagster; and the environment its processes share."""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import urlsplit

import httpx
import psycopg
from filelock import FileLock
from pydantic import SecretStr

from engage_pipeline.api.tokens import make_local_secret
from engage_pipeline.channels.http import loopback_url
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.database import embedded
from engage_pipeline.database.connections import connect, dagster_database_url, database_url
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.notices import end_waits
from engage_pipeline.settings import PROJECT_ROOT, Settings
from engage_pipeline.stack.errors import PortTaken
from engage_pipeline.stack.processes import Processes, supervised

# The location's name is that of the project's own workspace.yaml, so that sensors keep their state between the two.
_WORKSPACE = """load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: engage_pipeline
"""


_OTHER_PROVIDER_WORDS = ("META", "FACEBOOK", "TWILIO")


@dataclass(frozen=True)
class Installation:
    """A running installation: its settings, its database's URL and its processes."""

    settings: Settings
    url: str
    processes: Processes


@contextmanager
def running(settings: Settings, *, with_ui: bool, with_api: bool = False) -> Iterator[Installation]:
    """Start everything, and stop at the end what was started here.

    Args:
        with_ui: also the Dagster UI; without it only the daemon and its code server run.
        with_api: also the API, beside the webhooks; its tokens are signed with a secret that is made here where nobody
            has configured one.

    Raises:
        NotLoopback, AlreadyRunning, PortTaken, ServiceFailed, ServerDidNotStart, WrongServerVersion
    """
    if with_ui and not _is_free(settings.dagster_port):
        raise PortTaken(settings.dagster_port)
    loopback_url(httpx.URL(settings.sandbox_url))
    environment = without_provider_credentials(os.environ)
    with supervised(settings.home, environment) as processes:
        was_running = settings.database_url is not None or embedded.is_running(settings.home)
        try:
            url = database_url(settings)
            migrate(url)
            _prepare_dagster_home(settings)
            if with_api:
                make_local_secret(settings)
            with ports_of_its_own(settings) as settings:
                environment.update(_shared_environment(settings, url))
                processes.environment = environment
                _start_servers(processes, settings, serves="api" if with_api else "webhooks")
            _start_dagster(processes, settings, with_ui=with_ui)
            try:
                yield Installation(settings, url, processes)
            finally:
                _end_waits(url)
        finally:
            processes.stop()
            if not was_running:
                embedded.stop(settings.home)


def _start_servers(processes: Processes, settings: Settings, *, serves: str) -> None:
    processes.start(
        "sandbox",
        ["engage_pipeline.cli", "sandbox"],
        working_directory=PROJECT_ROOT,
        ready=lambda: _answers(f"{settings.sandbox_url}/health"),
        seconds=30,
    )
    processes.start(
        serves,
        ["engage_pipeline.cli", serves],
        working_directory=PROJECT_ROOT,
        ready=lambda: _answers(f"http://127.0.0.1:{settings.webhook_port}/health"),
        seconds=30,
    )


def without_provider_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what carries a provider's name, such as RESEND_API_KEY.

    Nothing reads them: credentials are asked for by `engage accounts add --live`. So the processes need not have them.
    """
    names = tuple(f"{word}_" for word in (*(name.upper() for name in PROVIDERS), *_OTHER_PROVIDER_WORDS))
    return {name: value for name, value in environment.items() if not name.upper().startswith(names)}


@contextmanager
def ports_of_its_own(settings: Settings) -> Iterator[Settings]:
    """Settings in which a port that something else listens on is replaced by a free one.

    Until the block ends no other installation of this user chooses any. By then what was started has bound its own, so
    that two that start at once never take the same.
    """
    with FileLock(Path(gettempdir()) / f"engage-ports-{os.getuid()}.lock"):
        settings = settings.model_copy(update={"sandbox_url": _free_address(settings.sandbox_url)})
        yield _with_free_webhook_port(settings)


def _start_dagster(processes: Processes, settings: Settings, *, with_ui: bool) -> None:
    port = _free_port()
    workspace = settings.dagster_home / "workspace.yaml"
    workspace.write_text(_WORKSPACE.format(port=port))
    processes.start(
        "code-server",
        ["engage_pipeline.stack.code_server", "-m", "engage_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port)],
        working_directory=PROJECT_ROOT,
        ready=lambda: not _is_free(port),
        seconds=60,
    )
    if with_ui:
        ui = ["dagster_webserver", "-w", str(workspace), "--host", "127.0.0.1", "--port", str(settings.dagster_port)]
        processes.start(
            "dagster-ui",
            ui,
            working_directory=PROJECT_ROOT,
            ready=lambda: _answers(f"http://127.0.0.1:{settings.dagster_port}/server_info"),
            seconds=120,
        )
    # Started last, stopped first: it would begin another tick.
    processes.start(
        "dagster",
        ["dagster._daemon", "run", "-w", str(workspace)],
        working_directory=PROJECT_ROOT,
        ready=lambda: True,
        seconds=60,
    )


def _end_waits(url: str) -> None:
    # Whatever became of the database, the processes are to be stopped.
    with suppress(psycopg.OperationalError), connect(url) as connection:
        end_waits(connection)


def _shared_environment(settings: Settings, url: str) -> dict[str, str]:
    """What this supervisor was told, its processes are told, with the addresses it found."""
    known = settings.model_copy(update={"database_url": url}).model_dump()
    # A secret would show as asterisks; what the environment says of it reaches them anyway.
    plain = {name: value for name, value in known.items() if value is not None and not isinstance(value, SecretStr)}
    return {
        **{f"ENGAGE_{name.upper()}": str(value) for name, value in plain.items()},
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # The sensors that wait in the code server must leave threads for the launch of runs.
        "DAGSTER_GRPC_MAX_WORKERS": "16",
        "ENGAGE_DAGSTER_DATABASE_URL": dagster_database_url(url),
        **_no_proxy_for_loopback(),
        "PYTHONUNBUFFERED": "1",
    }


def _no_proxy_for_loopback() -> dict[str, str]:
    """gRPC, by which Dagster's daemon speaks to its code server, would ask a proxy of the environment for 127.0.0.1."""
    return {
        name: ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))
        for name in ("no_proxy", "NO_PROXY")
    }


def _prepare_dagster_home(settings: Settings) -> None:
    """Dagster reads its configuration from its home only, so the project's file is copied there at every start."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", settings.dagster_home / "dagster.yaml")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _free_address(url: str) -> str:
    """The sandbox's address, on another port of 127.0.0.1 when something else listens on the usual one."""
    port = urlsplit(url).port or 80
    return url if _is_free(port) else f"http://127.0.0.1:{_free_port()}"


def _with_free_webhook_port(settings: Settings) -> Settings:
    """Another port of 127.0.0.1 for webhooks when the usual one is in use; a public address of yours stays."""
    if _is_free(settings.webhook_port):
        return settings
    port = _free_port()
    is_own = urlsplit(settings.public_url).port == settings.webhook_port
    public_url = f"http://127.0.0.1:{port}" if is_own else settings.public_url
    return settings.model_copy(update={"webhook_port": port, "public_url": public_url})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
