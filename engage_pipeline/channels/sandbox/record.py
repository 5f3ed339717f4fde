"""The sandbox's record: one JSON object a line for everything a provider did, written before the provider answers.

It holds no e-mail address, and a phone number only where a look-up of Bolna executions needs it.
"""

import fcntl
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from engage_pipeline.errors import EngageError

Kind = Literal["effect", "refused", "replayed", "deferred"]
Provider = Literal["bolna", "whatsapp", "resend", "sendgrid"]

_KEY_LIFE = timedelta(hours=24)  # Resend, "Idempotency keys"


class RecordInUse(EngageError):
    """Another sandbox writes the same record."""

    code = "sandbox-record-in-use"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            what=f"the sandbox's record {path} could not be opened",
            why="another sandbox is writing it",
            fix="stop the other sandbox, or give this one its own ENGAGE_HOME",
        )


class RecordDamaged(EngageError):
    """A whole line of the record is not one of the sandbox's."""

    code = "sandbox-record-damaged"

    def __init__(self, path: Path, line_number: int) -> None:
        self.path, self.line_number = path, line_number
        super().__init__(
            what=f"line {line_number} of the sandbox's record {path} cannot be read",
            why="something other than the sandbox wrote to the file",
            fix="move the file away; the sandbox begins a new one",
        )


@dataclass(frozen=True)
class Entry:
    """One line. `reference` is the id of the action log, None when the request carried none.

    Attributes:
        address_key: sha256 of the address, in hex.
        at: UTC, ISO 8601.
        idempotency_key, fingerprint: Resend: the request's key and the sha256 of its body.
        agent_id, to_number: Bolna: what its list of executions shows.
        forced: the outcome that the request itself asked for.
    """

    kind: Kind
    provider: Provider
    reference: str | None
    provider_message_id: str | None
    address_key: str
    at: str
    idempotency_key: str | None = None
    fingerprint: str | None = None
    agent_id: str | None = None
    to_number: str | None = None
    forced: str | None = None


@dataclass(frozen=True)
class Reading:
    """What the record says happened. `effects` are pairs of reference and provider_message_id, in order."""

    effects: Sequence[tuple[str | None, str | None]]
    refused_count: int
    replayed_count: int
    deferred_count: int


def read_record(path: Path) -> Reading:
    """What is in the record at `path`; nothing when there is none yet. A last line still being written is left out.

    Raises:
        RecordDamaged: a whole line is not one of the sandbox's.
    """
    content = path.read_bytes() if path.exists() else b""
    entries = list(_entries(path, content))
    counts = Counter(entry.kind for entry in entries)
    return Reading(
        effects=[(entry.reference, entry.provider_message_id) for entry in entries if entry.kind == "effect"],
        refused_count=counts["refused"],
        replayed_count=counts["replayed"],
        deferred_count=counts["deferred"],
    )


def address_key(address: str) -> str:
    """sha256 of the address, in hex: tells addresses apart without showing them."""
    return hashlib.sha256(address.encode()).hexdigest()


class Record:
    """The open record, with the indexes a provider's memory needs. Survives a kill at any moment.

    Raises, on opening:
        RecordInUse: another sandbox has it open.
        RecordDamaged: a whole line is not one of the sandbox's.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a line is one write, so it is with the system before the answer is given.
        self._file = path.open("ab", buffering=0)
        try:
            self._lock(path)
            self._counts: Counter[tuple[Provider, Kind]] = Counter()
            self._deferred: set[tuple[Provider, str]] = set()
            self._keys: dict[str, Entry] = {}
            self._executions: dict[str, Entry] = {}
            self._agents: dict[str, list[Entry]] = defaultdict(list)
            self._effects: dict[str, tuple[Entry, int]] = {}
            self._ordinals: Counter[tuple[Provider, str]] = Counter()
            self._read_back(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, entry: Entry) -> None:
        """Write one line; when this returns it outlives the process."""
        line = {name: value for name, value in vars(entry).items() if value is not None or name in _ALWAYS_WRITTEN}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._remember(entry)

    def was_deferred(self, provider: Provider, subject: str) -> bool:
        """Whether the provider has put off this reference, or address key where there is no reference, before."""
        return (provider, subject) in self._deferred

    def keyed_effect(self, idempotency_key: str, *, now: datetime) -> Entry | None:
        """The e-mail that this key sent, while Resend would still know the key."""
        entry = self._keys.get(idempotency_key)
        if entry is None or now - datetime.fromisoformat(entry.at) > _KEY_LIFE:
            return None
        return entry

    def execution(self, execution_id: str) -> Entry | None:
        """The call with this id."""
        return self._executions.get(execution_id)

    def effect(self, provider_message_id: str) -> tuple[Entry, int] | None:
        """What was done under this id, and that it was the address's how-manieth, from 1."""
        return self._effects.get(provider_message_id)

    def executions(self, agent_id: str, *, begin: datetime, end: datetime) -> list[Entry]:
        """The agent's calls that were taken from `begin` to `end`, the newest first."""
        calls = reversed(self._agents.get(agent_id, []))
        return [entry for entry in calls if begin <= datetime.fromisoformat(entry.at) <= end]

    def summary(self) -> dict[str, dict[str, int]]:
        """How many entries there are, by provider and kind."""
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for (provider, kind), count in sorted(self._counts.items()):
            counts[provider][kind] = count
        return counts

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordInUse(path) from error

    def _read_back(self, path: Path) -> None:
        content = path.read_bytes()
        for entry in _entries(path, content):
            self._remember(entry)
        # What follows the last newline is a line that a kill tore; its answer was never given.
        os.ftruncate(self._file.fileno(), content.rfind(b"\n") + 1)

    def _remember(self, entry: Entry) -> None:
        self._counts[entry.provider, entry.kind] += 1
        if entry.kind == "deferred":
            self._deferred.add((entry.provider, entry.reference or entry.address_key))
        if entry.kind != "effect":
            return
        self._ordinals[entry.provider, entry.address_key] += 1
        if entry.provider_message_id is not None:
            self._effects[entry.provider_message_id] = (entry, self._ordinals[entry.provider, entry.address_key])
        if entry.idempotency_key is not None:
            self._keys[entry.idempotency_key] = entry
        if entry.agent_id is not None and entry.provider_message_id is not None:
            self._executions[entry.provider_message_id] = entry
            self._agents[entry.agent_id].append(entry)


_ALWAYS_WRITTEN = frozenset({"kind", "provider", "reference", "provider_message_id", "address_key", "at"})


def _entries(path: Path, content: bytes) -> Iterator[Entry]:
    whole_lines = content[: content.rfind(b"\n") + 1].splitlines()
    for line_number, line in enumerate(whole_lines, start=1):
        try:
            yield Entry(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise RecordDamaged(path, line_number) from error


def utc_now() -> datetime:
    """The present instant in UTC."""
    return datetime.now(UTC)
