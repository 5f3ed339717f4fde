"""The embedded server against what happens to servers: many starters, killed parents, crashes, old clusters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from engage_pipeline.database import embedded
from engage_pipeline.database.errors import WrongServerVersion

PROJECT = Path(__file__).resolve().parents[3]
START = """
import sys
from pathlib import Path
from engage_pipeline.database import embedded
print(embedded.start(Path(sys.argv[1])))
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    embedded.stop(tmp_path / "home")


def _starter(home: Path, *, then: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"{START}\n{then}", str(home)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _postmaster_pid(home: Path) -> int:
    return int((embedded.data_directory(home) / "postmaster.pid").read_text().splitlines()[0])


def _answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_several_processes_that_ask_at_once_get_one_server_and_no_noise(home: Path) -> None:
    starters = [_starter(home) for _ in range(4)]
    outputs = [starter.communicate(timeout=90) for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 4, outputs
    assert {errors for _, errors in outputs} == {""}
    (url,) = {printed.strip() for printed, _ in outputs}
    assert _answers(url)


def test_a_killed_parent_leaves_the_server_up_for_the_next(home: Path) -> None:
    parent = _starter(home, then="sys.stdout.flush(); import time; time.sleep(600)")
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    server = _postmaster_pid(home)
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=10)
    assert _answers(url)
    assert embedded.start(home) == url
    assert _postmaster_pid(home) == server


def test_a_pid_file_of_a_crash_that_names_another_live_process_is_recovered_from(home: Path) -> None:
    url = embedded.start(home)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as value")
    pid_file = embedded.data_directory(home) / "postmaster.pid"
    left_behind = pid_file.read_text().splitlines()
    _crash(_postmaster_pid(home))
    left_behind[0] = str(os.getpid())
    pid_file.write_text("\n".join(left_behind) + "\n")

    assert not embedded.is_running(home)
    with psycopg.connect(embedded.start(home)) as connection:
        assert connection.execute("select value from kept").fetchone() == (7,)


def test_a_pid_file_that_was_cut_short_by_a_crash_is_recovered_from(home: Path) -> None:
    embedded.start(home)
    _crash(_postmaster_pid(home))
    (embedded.data_directory(home) / "postmaster.pid").write_text("")
    assert _answers(embedded.start(home))


def test_a_cluster_of_another_major_version_is_refused_before_anything_is_touched(home: Path) -> None:
    pgdata = embedded.data_directory(home)
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("16\n")
    with pytest.raises(WrongServerVersion) as caught:
        embedded.start(home)
    assert "PostgreSQL 16" in caught.value.why
    assert [each.name for each in pgdata.iterdir()] == ["PG_VERSION"]


def test_stop_stops_and_says_whether_there_was_something_to_stop(home: Path) -> None:
    assert not embedded.stop(home)
    url = embedded.start(home)
    assert embedded.is_running(home)
    assert embedded.stop(home)
    assert not embedded.is_running(home)
    assert not embedded.stop(home)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_home_reached_over_a_link_is_the_same_installation(home: Path, tmp_path: Path) -> None:
    url = embedded.start(home)
    link = tmp_path / "link"
    link.symlink_to(home)
    assert embedded.start(link) == url
    assert embedded.stop(link)
    assert not embedded.is_running(home)


def _crash(pid: int) -> None:
    postmaster = psutil.Process(pid)
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        process.kill()
    deadline = time.monotonic() + 10
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family):
        assert time.monotonic() < deadline
        time.sleep(0.02)
