"""The peak memory of this process alone."""

import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most memory that this process has held, in bytes.

    Not `ru_maxrss` where Linux says it better: a child begins with what its parent held when it was forked.
    """
    if _STATUS.exists():
        [peak] = [line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(peak) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
