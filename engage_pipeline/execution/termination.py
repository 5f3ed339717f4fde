"""Ending a run on request: Ctrl-C, SIGTERM and Dagster's terminate wait until what is in flight has been recorded."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED_BY = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def put_off_termination() -> Iterator[Callable[[], bool]]:
    """Hold SIGINT and SIGTERM back until the block has ended, then let them do what they would have done.

    Yields:
        Whether one has come. Always false outside the main thread, which alone is told of signals.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)

    before = {number: signal.signal(number, note) for number in _ASKED_BY}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
