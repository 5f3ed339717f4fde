"""How the sandbox providers treat an address or a request: a seed and shares for a demo, single faults for a test."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from engage_pipeline.errors import EngageError

Fault = Literal[
    "refuses",
    "defers",
    "fails",
    "unavailable",
    "hangs",
    "drops the line",
    "html",
    "200 with error body",
    "accepts then fails",
    "accepts then hangs",
    "accepts then drops the line",
]
"""What can go wrong with one request. Only the ones that begin with "accepts" leave an effect."""


class InvalidBehaviour(EngageError):
    """The file that describes the sandbox's behaviour cannot be used."""

    code = "invalid-behaviour"

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(
            what=f"the behaviour file {path} was not taken",
            why=why,
            fix=f"write a JSON object with some of: {', '.join(each.name for each in fields(Behaviour))}",
        )


@dataclass(frozen=True)
class Conduct:
    """What one address meets, always the same under one seed."""

    is_refused: bool
    is_deferred_once: bool
    is_dropped_after_acceptance: bool


@dataclass(frozen=True)
class Behaviour:
    """Shares are fractions of all addresses, from 0 to 1. A fault goes before what the address would meet.

    Attributes:
        faults: the fault of single requests, by their number since the sandbox started, counted from 1.
        fault_of_all: the fault of every request that `faults` does not name.
    """

    seed: int = 1
    latency_ms: float = 20
    refused_share: float = 0.06
    deferred_share: float = 0.02
    dropped_share: float = 0.0
    faults: Mapping[int, Fault] = field(default_factory=dict)
    fault_of_all: Fault | None = None

    def __post_init__(self) -> None:
        for share in (self.refused_share, self.deferred_share, self.dropped_share):
            if not 0 <= share <= 1:
                raise ValueError("a share is a fraction from 0 to 1")
        unknown = {*self.faults.values(), self.fault_of_all} - {None, *get_args(Fault)}
        if unknown:
            raise ValueError(f"there is no fault {', '.join(map(repr, sorted(map(str, unknown))))}")
        if self.latency_ms < 0:
            raise ValueError("latency_ms is 0 or more")

    def fault(self, request_number: int) -> Fault | None:
        """The fault of this request, None when it is treated by its address."""
        return self.faults.get(request_number, self.fault_of_all)

    def conduct(self, address: str) -> Conduct:
        """What `address` meets, drawn from sha256(seed|address)."""
        digest = hashlib.sha256(f"{self.seed}|{address}".encode()).digest()
        refused, deferred, dropped = (int.from_bytes(digest[at : at + 8]) / 2**64 for at in (0, 8, 16))
        return Conduct(
            is_refused=refused < self.refused_share,
            is_deferred_once=deferred < self.deferred_share,
            is_dropped_after_acceptance=dropped < self.dropped_share,
        )


def load_behaviour(path: Path) -> Behaviour:
    """The behaviour that a JSON file describes; what it does not name has its default.

    Raises:
        InvalidBehaviour: the file is missing, not a JSON object, or holds a name or a value that does not exist.
    """
    try:
        described: dict[str, Any] = json.loads(path.read_text())
        faults = {int(number): fault for number, fault in described.pop("faults", {}).items()}
        return Behaviour(**described, faults=faults)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidBehaviour(path, str(error)) from error
