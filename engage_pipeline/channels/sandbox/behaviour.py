"""How the sandbox providers treat an address or a request: a seed and shares for a demo, single faults for a test."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
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
class Storm:
    """Every request from `begin` to `end` seconds after the start meets `fault`."""

    begin: float
    end: float
    fault: Fault


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
        answered_share, voicemail_share: of calls; the latter of those that nobody answered.
        delivered_share, read_share, opt_out_share: of WhatsApp messages; the second of those delivered.
        bounced_share, opened_share, complained_share: of e-mails.
        answered_by_hour, delivered_by_hour: shares that replace those above in an hour of the day, UTC, from 0 to 23.
        outcome_seconds: how long after its request the last status comes.
        webhook_duplicated_share: webhooks that are sent twice.
        webhook_reordered_share: webhooks that come a whole `outcome_seconds` late, after those that follow.
        webhooks_lost_share: webhooks that never come.
        requests_per_second: by provider; beyond it a request is told to wait.
        concurrency: calls at once that Bolna states for the account.
        balance_low_after: calls that Bolna places before its wallet is empty.
        storms: spells, in seconds since the sandbox started, in which every request meets a fault.
        faults: the fault of single requests, by their number since the sandbox started, counted from 1.
        fault_of_all: the fault of every request that `faults` does not name.
    """

    seed: int = 1
    latency_ms: float = 20
    refused_share: float = 0.06
    deferred_share: float = 0.02
    dropped_share: float = 0.0
    answered_share: float = 0.55
    voicemail_share: float = 0.25
    delivered_share: float = 0.94
    read_share: float = 0.6
    opt_out_share: float = 0.002
    bounced_share: float = 0.03
    opened_share: float = 0.4
    complained_share: float = 0.001
    answered_by_hour: Mapping[int, float] = field(default_factory=dict)
    delivered_by_hour: Mapping[int, float] = field(default_factory=dict)
    outcome_seconds: float = 1.0
    webhook_duplicated_share: float = 0.0
    webhook_reordered_share: float = 0.0
    webhooks_lost_share: float = 0.0
    requests_per_second: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 10_000
    balance_low_after: int | None = None
    storms: Sequence[Storm] = ()
    faults: Mapping[int, Fault] = field(default_factory=dict)
    fault_of_all: Fault | None = None

    def __post_init__(self) -> None:
        shares = [getattr(self, each.name) for each in fields(self) if each.name.endswith("_share")]
        for share in (*shares, *self.answered_by_hour.values(), *self.delivered_by_hour.values()):
            if not 0 <= share <= 1:
                raise ValueError("a share is a fraction from 0 to 1")
        faults = {*self.faults.values(), self.fault_of_all, *(storm.fault for storm in self.storms)}
        unknown = faults - {None, *get_args(Fault)}
        if unknown:
            raise ValueError(f"there is no fault {', '.join(map(repr, sorted(map(str, unknown))))}")
        if self.latency_ms < 0 or self.outcome_seconds < 0:
            raise ValueError("latency_ms and outcome_seconds are 0 or more")

    def fault(self, request_number: int, *, age_seconds: float = 0.0) -> Fault | None:
        """The fault of this request, None when it is treated by its address."""
        if request_number in self.faults:
            return self.faults[request_number]
        storm = next((each for each in self.storms if each.begin <= age_seconds < each.end), None)
        return storm.fault if storm else self.fault_of_all

    def by_hour(self, shares: Mapping[int, float], at: datetime, usual: float) -> float:
        """The share of that hour, UTC."""
        return shares.get(at.hour, usual)

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
        storms = tuple(Storm(**storm) for storm in described.pop("storms", []))
        for name in ("answered_by_hour", "delivered_by_hour"):
            described[name] = {int(hour): share for hour, share in described.pop(name, {}).items()}
        return Behaviour(**described, faults=faults, storms=storms)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidBehaviour(path, str(error)) from error
