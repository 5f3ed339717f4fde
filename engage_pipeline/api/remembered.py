"""Answers that cost much and are asked for often: kept for seconds, and worked out anew behind whoever asks next."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_FRESH_SECONDS = 2.0
_STALE_SECONDS = 15.0
_MOST = 1000


class Remembered:
    """By key, an answer and when it was worked out. The key says everything that the answer depends on, tenant first.

    Up to two seconds old it is given again. Up to fifteen seconds old it is given once more while one thread works it
    out anew, so that nobody waits for it. An older one is worked out at once, for all who ask for it meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._under_way: dict[Hashable, Future[Any]] = {}
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="remembered")

    def get(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """The answer, as old as it may be."""
        with self._lock:
            worked_out_at, answer = self._answers.get(key, (float("-inf"), None))
            age = time.monotonic() - worked_out_at
            if age <= _FRESH_SECONDS:
                return answer
            future = self._under_way.get(key)
            is_first = future is None
            if future is None:
                future = self._under_way[key] = Future()
        if age <= _STALE_SECONDS:
            if is_first:
                self._behind.submit(self._work_out, key, work, future)
            return answer
        if is_first:
            self._work_out(key, work, future)
        return future.result()

    def close(self) -> None:
        """Begin nothing further."""
        self._behind.shutdown(wait=True, cancel_futures=True)

    def _work_out(self, key: Hashable, work: Callable[[], Any], future: "Future[Any]") -> None:
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - it is raised to everybody who waits
            with self._lock:
                del self._under_way[key]
            future.set_exception(error)
            return
        with self._lock:
            self._answers[key] = (time.monotonic(), answer)
            self._answers.move_to_end(key)
            while len(self._answers) > _MOST:
                self._answers.popitem(last=False)
            del self._under_way[key]
        future.set_result(answer)
