"""The sandbox as its own process: `engage sandbox`, stopped, killed and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from engage_pipeline.channels.sandbox.behaviour import Behaviour, InvalidBehaviour, load_behaviour
from engage_pipeline.channels.sandbox.record import Entry, Record, RecordDamaged, RecordInUse, read_record
from engage_pipeline.channels.sandbox.serve import PortInUse, listen, serve
from engage_pipeline.settings import Settings

KEY = {"Authorization": "Bearer nobody"}
RUN_ENGAGE = "from engage_pipeline.cli.app import main; main()"
CALL = {"agent_id": "a-1", "recipient_phone_number": "+15550100123"}


@pytest.fixture
def settings(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Settings(home=tmp_path, sandbox_url=f"http://127.0.0.1:{port}")


@pytest.fixture
def start(settings):
    started = []

    def start_one(**behaviour):
        behaviour_file = settings.home / "behaviour.json"
        behaviour_file.write_text(json.dumps({"latency_ms": 0, "refused_share": 0, "deferred_share": 0, **behaviour}))
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_ENGAGE, "sandbox", "--behaviour", str(behaviour_file)],
            env={**os.environ, "ENGAGE_HOME": str(settings.home), "ENGAGE_SANDBOX_URL": settings.sandbox_url},
        )
        started.append(process)
        deadline = time.monotonic() + 20
        while not _is_healthy(settings.sandbox_url):
            assert process.poll() is None and time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.05)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def _is_healthy(url):
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def place_call(settings, reference):
    body = {**CALL, "user_data": {"action_log_id": reference}}
    return httpx.post(f"{settings.sandbox_url}/bolna/call", json=body, headers=KEY, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start, number):
    process = start()
    process.send_signal(number)
    assert process.wait(timeout=10) == 0


def test_a_signal_ends_it_though_a_request_hangs(start, settings):
    process = start(fault_of_all="hangs")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{settings.sandbox_url}/bolna/call", json=CALL, headers=KEY, trust_env=False, timeout=0.2)
    with socket.create_connection(("127.0.0.1", int(settings.sandbox_url.rsplit(":", 1)[1]))) as idle:
        idle.send(b"POST /bolna/call HTTP/1.1\r\n")
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_what_was_answered_is_in_the_record_after_a_kill(start, settings):
    process = start()
    answered = [(f"ref-{number}", place_call(settings, f"ref-{number}").json()["execution_id"]) for number in range(20)]
    process.kill()
    process.wait()
    assert read_record(settings.sandbox_record).effects == answered
    start()
    url = f"{settings.sandbox_url}/bolna/executions/{answered[7][1]}"
    assert httpx.get(url, headers=KEY, trust_env=False).json()["context_details"] == {
        "recipient_data": {"action_log_id": "ref-7"}
    }


def test_a_line_torn_by_a_kill_is_cut_off_and_the_record_goes_on(start, settings):
    process = start()
    place_call(settings, "whole")
    process.kill()
    process.wait()
    with settings.sandbox_record.open("ab") as record:
        record.write(b'{"kind": "effect", "provider": "bol')
    assert [reference for reference, _ in read_record(settings.sandbox_record).effects] == ["whole"]
    start()
    place_call(settings, "after")
    assert [reference for reference, _ in read_record(settings.sandbox_record).effects] == ["whole", "after"]


def test_a_second_sandbox_is_told_what_holds_the_port_or_the_record(settings):
    with listen(0) as taken, pytest.raises(PortInUse) as caught:
        taken.listen()
        serve(settings, port=taken.getsockname()[1])
    assert caught.value.code == "sandbox-port-in-use"
    with Record(settings.sandbox_record), pytest.raises(RecordInUse) as held:
        serve(settings, port=0)
    assert held.value.code == "sandbox-record-in-use"


@pytest.mark.parametrize("line", [b"not json", b"[]", b'{"kind": "effect"}', b'{"unheard": 1}'])
def test_a_line_that_is_not_the_sandboxes_is_named(tmp_path, line):
    path = tmp_path / "requests.jsonl"
    path.write_bytes(line + b"\n")
    for read in (read_record, Record):
        with pytest.raises(RecordDamaged) as caught:
            read(path)
        assert caught.value.line_number == 1
    assert path.read_bytes() == line + b"\n"


def test_an_idempotency_key_is_known_for_a_day(tmp_path):
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    sent = Entry("effect", "resend", "ref-1", "m-1", "0", at.isoformat(), idempotency_key="ref-1", fingerprint="f")
    with Record(tmp_path / "requests.jsonl") as record:
        record.append(sent)
        assert record.keyed_effect("ref-1", now=at + timedelta(hours=24)) == sent
        assert record.keyed_effect("ref-1", now=at + timedelta(hours=24, seconds=1)) is None


def test_a_record_that_is_not_there_is_empty(tmp_path):
    assert read_record(tmp_path / "none.jsonl").effects == []


def test_a_behaviour_file_is_read(tmp_path):
    path = tmp_path / "behaviour.json"
    path.write_text('{"latency_ms": 0, "faults": {"7": "hangs"}, "fault_of_all": "refuses"}')
    assert load_behaviour(path) == Behaviour(latency_ms=0, faults={7: "hangs"}, fault_of_all="refuses")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"speed": 1}',
        '{"refused_share": 6}',
        '{"refused_share": "6%"}',
        '{"latency_ms": -1}',
        '{"faults": []}',
        '{"faults": {"x": "hangs"}}',
        '{"faults": {"1": "sulks"}}',
        '{"fault_of_all": "sulks"}',
    ],
)
def test_a_behaviour_file_that_says_nonsense_is_an_error_with_a_fix(tmp_path, content):
    path = tmp_path / "behaviour.json"
    path.write_text(content)
    with pytest.raises(InvalidBehaviour) as caught:
        load_behaviour(path)
    assert "refused_share" in caught.value.fix


def test_a_behaviour_file_that_is_missing_is_an_error_with_a_fix(tmp_path):
    with pytest.raises(InvalidBehaviour):
        load_behaviour(tmp_path / "none.json")
