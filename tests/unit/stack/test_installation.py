"""What a local installation gives its processes: ports of their own, and nobody's credentials."""

import ast
import socket
import threading
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from engage_pipeline.settings import PROJECT_ROOT, Settings
from engage_pipeline.stack import installation
from engage_pipeline.stack.installation import ports_of_its_own, running, without_provider_credentials

PLANTED = (
    "RESEND_API_KEY",
    "BOLNA_API_KEY",
    "WHATSAPP_TOKEN",
    "whatsapp_token",
    "META_APP_SECRET",
    "SENDGRID_API_KEY",
    "SMTP_PASSWORD",
    "TWILIO_AUTH_TOKEN",
)


def test_no_process_is_given_a_providers_credentials():
    environment = {"PATH": "/bin", "ENGAGE_HOME": "/x", "HTTP_PROXY": "y", **dict.fromkeys(PLANTED, "planted")}
    kept = {"PATH": "/bin", "ENGAGE_HOME": "/x", "HTTP_PROXY": "y"}
    assert without_provider_credentials(environment) == kept


@pytest.mark.parametrize("with_ui", [True, False])
def test_what_dev_and_demo_start_has_none_in_its_environment(monkeypatch, tmp_path, with_ui):
    for name in PLANTED:
        monkeypatch.setenv(name, f"planted-{name}")
    given = {}

    def note(self, name, command, **_options):
        given[name] = dict(self.environment)

    monkeypatch.setattr(installation.Processes, "start", note)
    monkeypatch.setattr(installation, "database_url", lambda settings: "postgresql://nowhere")
    monkeypatch.setattr(installation, "migrate", lambda url: None)
    settings = Settings(home=tmp_path, database_url="postgresql://nowhere", dagster_port=free_port())
    with running(settings, with_ui=with_ui, with_api=with_ui):
        pass
    assert {"sandbox", "dagster", "api" if with_ui else "webhooks"} <= given.keys()
    for environment in given.values():
        assert environment["ENGAGE_HOME"] == str(tmp_path)
        assert "planted" not in repr(environment)


def test_nothing_but_the_settings_and_the_supervisor_reads_the_environment():
    readers = set()
    for path in [*Path(PROJECT_ROOT / "engage_pipeline").rglob("*.py"), *(PROJECT_ROOT / "assets").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                readers.add(path.relative_to(PROJECT_ROOT).as_posix())
    assert readers <= READERS, readers - READERS


READERS = {"engage_pipeline/stack/installation.py"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_installations_that_start_at_once_have_ports_of_their_own(monkeypatch):
    # All of them want the same two ports, and the search gives the same free ones until somebody listens there.
    candidates, turns = [free_port() for _ in range(20)], count()

    def search():
        return [port for port in candidates if installation._is_free(port)][next(turns) % 2]

    monkeypatch.setattr(installation, "_free_port", search)
    wanted = Settings(sandbox_url=f"http://127.0.0.1:{candidates[0]}", webhook_port=candidates[1])
    taken, servers = [], ExitStack()

    def start():
        with ports_of_its_own(wanted) as settings:
            time.sleep(0.02)  # a child takes a while until it has bound its port
            for port in (int(settings.sandbox_url.rsplit(":", 1)[1]), settings.webhook_port):
                servers.enter_context(socket.create_server(("127.0.0.1", port)))
                taken.append(port)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    servers.close()
    assert len(taken) == len(set(taken)) == 12
