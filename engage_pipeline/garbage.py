"""Python's collector of cyclic garbage, held back where it costs more than it finds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Many small objects that all live to the end of a batch make the collector search them over and over.

    For work whose objects are bounded by the size of a batch; what is not in a cycle is freed as ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
