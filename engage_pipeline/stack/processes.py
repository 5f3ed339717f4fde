"""Starts the processes of a local installation, watches them, and stops every one of them again.

Each runs in a session of its own, so that Ctrl-C reaches the supervisor alone and it can stop them in order. Their ids
are kept in `stack.json`: what a killed supervisor left behind is stopped by the next one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from engage_pipeline.stack.errors import AlreadyRunning, ServiceFailed

_STOP_SECONDS = 20.0


@dataclass
class Process:
    """One child, its log file, and whether it answers yet."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ServiceFailed when the process has ended."""
        if self.child.poll() is not None:
            raise ServiceFailed(self.name, reason=f"ended with exit code {self.child.returncode}", log=self.log)


@dataclass
class Processes:
    """The children of one supervisor, in the order in which they were started."""

    home: Path
    environment: Mapping[str, str]
    running: list[Process] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], *, working_directory: Path, ready: Callable[[], bool], seconds: float
    ) -> Process:
        """Start `command` with its output in `logs/<name>.log` and wait until it is ready.

        Raises:
            ServiceFailed: it ended, or was not ready after `seconds`.
        """
        log = self.home / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=working_directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, child, log)
        self.running.append(process)
        self._remember()
        deadline = time.monotonic() + seconds
        while not ready():
            process.check()
            if time.monotonic() > deadline:
                raise ServiceFailed(name, reason=f"did not answer within {seconds:.0f} seconds", log=log)
            time.sleep(0.1)
        process.check()  # what answered may be something else on its port
        return process

    def check(self) -> None:
        """Raises ServiceFailed when any child has ended."""
        for process in self.running:
            process.check()

    def stop(self) -> None:
        """Stop every child and whatever they started, the last started first."""
        for process in reversed(self.running):
            _stop_tree(process.child.pid, signal.SIGINT)
            process.child.wait()
        self.running.clear()
        self._remember()

    def _remember(self) -> None:
        notes = [{"pid": each.child.pid, "started": _started(each.child.pid)} for each in self.running]
        path = self.home / "stack.json"
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(notes))
        beside.replace(path)


@contextmanager
def supervised(home: Path, environment: Mapping[str, str]) -> Iterator[Processes]:
    """The only supervisor of `home`: processes started within the block are stopped at its end, however it ends.

    SIGTERM ends the block as Ctrl-C does. Installing handlers also undoes an inherited "ignore SIGINT" (a script's
    background job has that), which the children would inherit in turn and then could not be stopped by.

    Raises:
        AlreadyRunning: somebody else supervises `home`.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "stack.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(home) from None
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    processes = Processes(home, environment)
    try:
        for number in before:
            signal.signal(number, _interrupt)
        _stop_leftovers(home)
        yield processes
    finally:
        # A second Ctrl-C must not leave anything behind.
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        processes.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
        lock.release()


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


def _stop_leftovers(home: Path) -> None:
    """Stop what the last supervisor started and was killed before it could stop."""
    try:
        notes = json.loads((home / "stack.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return
    for note in notes:
        # The start time tells our process from a stranger that got its number.
        if note["started"] is not None and _started(note["pid"]) == note["started"]:
            _stop_tree(note["pid"], signal.SIGINT)


def _stop_tree(pid: int, first_signal: signal.Signals) -> None:
    """Ask `pid` to end, then end whatever is left of it, its descendants and its session."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    family += [each for each in _session_of(pid) if each not in family]
    if not family:
        return
    _signal(family[0], first_signal)
    _, alive = psutil.wait_procs(family, timeout=_STOP_SECONDS)
    for each in alive:
        _signal(each, signal.SIGTERM)
    _, alive = psutil.wait_procs(alive, timeout=5)
    for each in alive:
        _signal(each, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _session_of(pid: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid and process.pid != pid:
                members.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _started(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
