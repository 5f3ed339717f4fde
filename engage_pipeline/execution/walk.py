"""Walks contacts to the end of their flows on a virtual clock, by the rules that the ledger follows. Stores nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple, cast
from uuid import UUID

from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS, OUTCOMES
from engage_pipeline.execution.hours import Place, next_open_instant, schedules_of
from engage_pipeline.execution.provider_model import ProviderModel
from engage_pipeline.execution.steps import LogSoFar, LogStatus, NewLog, final_status, next_logs
from engage_pipeline.flows.model import Flow


@dataclass(frozen=True)
class Walker:
    """One matched contact: where it can be reached, what it refused, and where it is."""

    contact_id: str
    flow_place: int
    addresses: Mapping[str, str]
    suppressed: frozenset[str]
    place: Place


class Step(NamedTuple):
    """One action log as it would be in the end."""

    contact_id: str
    address: str | None
    flow_name: str
    action_order: int
    action_type: str
    status: str
    skip_reason: str | None
    outcome: str | None
    executed_at: datetime | None
    completed_at: datetime | None
    cost_cents: float


class Walk(NamedTuple):
    """A contact's whole way: the status its execution ends with, and its steps."""

    status: str
    steps: list[Step]


class Simulation:
    """The flows, the providers, and which addresses had which action already."""

    def __init__(self, flows: Sequence[tuple[UUID, Flow]], model: ProviderModel, *, start: datetime) -> None:
        self.flows, self.model, self.start = flows, model, start
        self._touched: dict[tuple[int, int, str], datetime | None] = {}
        self._next: dict[object, list[NewLog]] = {}

    def walk(self, walkers: Sequence[Walker]) -> Iterator[Walk]:
        """Each walker's way, in the order given: of two with one address, the first gets the action."""
        for walker in walkers:
            yield _Way(self, walker).go()

    def next_logs(self, walker: Walker, logs: Sequence[LogSoFar], now: datetime) -> list[NewLog]:
        """The ledger's rule, remembered: contacts in one place with the same history go on alike."""
        key = (walker.flow_place, id(walker.place), now, *(tuple(vars(log).values()) for log in logs))
        found = self._next.get(key)
        if found is None:
            found = self._next[key] = next_logs(self.flows[walker.flow_place][1], logs, now=now, place=walker.place)
        return found

    def touches_first(self, walker: Walker, log: NewLog, address: str, now: datetime) -> bool:
        """Whether no other contact with the address had this action within the flow's re-entry window."""
        key = (walker.flow_place, log.action_order, address)
        if key in self._touched and (self._touched[key] is None or now < (self._touched[key] or now)):
            return False
        days = self.flows[walker.flow_place][1].reentry_after_days
        self._touched[key] = None if days is None else now + timedelta(days=days)
        return True


class _Way:
    """The way of one contact: its logs so far, the time, and what providers have still to tell."""

    def __init__(self, simulation: Simulation, walker: Walker) -> None:
        self.simulation, self.walker = simulation, walker
        self.flow = simulation.flows[walker.flow_place][1]
        self.now = simulation.start
        self.logs: list[LogSoFar] = []
        self.steps: list[Step] = []
        self.suppressed = set(walker.suppressed)
        self.untold: list[tuple[datetime, int, str | None]] = []
        self.read_awaited: set[int] = set()

    def go(self) -> Walk:
        while True:
            following = self.simulation.next_logs(self.walker, self.logs, self.now)
            for log in following:
                if log.status == "skipped":
                    self._skip(log, log.skip_reason or "")
                else:
                    self._take(log)
            if not following or following[-1].status == "skipped":
                if not any(log.status == "sent" for log in self.logs):
                    break
                self._hear(max(self.now, min(at for at, _, _ in self.untold)))
        self._hear(max((at for at, _, _ in self.untold), default=self.now))
        return Walk(final_status(self.flow, self.logs) or "running", self.steps)

    def _take(self, log: NewLog) -> None:
        self._hear(max(self.now, log.due_at or self.now))
        if log.action_type == "wait":
            self._add(LogSoFar(log.action_order, "wait", "success", None, self.now), executed_at=None)
            return
        address = self.walker.addresses.get(ADDRESS_COLUMNS[log.action_type])
        if log.action_type in self.suppressed:
            self._skip(log, "suppressed")
        elif address is None:
            self._skip(log, "no_address")
        elif self._is_open(log):
            if self.simulation.touches_first(self.walker, log, address, self.now):
                self._send(log, address)
            else:
                self._skip(log, "same_address")

    def _is_open(self, log: NewLog) -> bool:
        schedules = schedules_of(self.flow.custom_hours, log.action_type, self.walker.place)
        opening = next_open_instant(schedules, self.now)
        if opening is None:
            self._skip(log, "never_open")
        elif opening > self.now and self.flow.outside_business_hours == "skip":
            self._skip(log, "outside_hours")
        else:
            self._hear(opening)
            return True
        return False

    def _send(self, log: NewLog, address: str) -> None:
        prospect = self.simulation.model.send(log.action_type, address, at=self.now)
        self._hear(prospect.begins_at)
        if prospect.is_refused:
            refused = LogSoFar(log.action_order, log.action_type, "failed", "refused", self.now)
            self._add(refused, executed_at=self.now)
            return
        place = len(self.logs)
        sent = LogSoFar(log.action_order, log.action_type, "sent", "accepted")
        self._add(sent, executed_at=self.now, cost_cents=prospect.cost_cents)
        waits = timedelta(minutes=log.outcome_timeout_minutes or 0)
        if log.awaits_reading:
            self.read_awaited.add(place)
        self.untold += [(at, place, outcome) for at, outcome in prospect.outcomes if at <= self.now + waits]
        self.untold.append((self.now + waits, place, None))

    def _hear(self, until: datetime) -> None:
        """Let the time come, with what providers tell meanwhile."""
        if self.untold:
            events = sorted(self.untold, key=itemgetter(0))
            self.untold = [event for event in events if event[0] > until]
            for event in events[: len(events) - len(self.untold)]:
                self._learn(*event)
        self.now = until

    def _learn(self, at: datetime, place: int, outcome: str | None) -> None:
        log = self.logs[place]
        if outcome is None and log.status != "sent":
            return
        if outcome is None:
            is_delivered = log.outcome == "delivered"
            status, outcome = ("success", "delivered") if is_delivered else ("failed", "expired")
        elif log.status == "sent" and not (outcome == "delivered" and place in self.read_awaited):
            status = OUTCOMES[outcome].status or "sent"
        else:
            status = log.status  # what is final stays; only the outcome changes
        if outcome in ("opted_out", "complained"):
            self.suppressed.add(log.action_type)
        completed_at = None if status == "sent" else log.completed_at or at
        self.logs[place] = replace(log, status=cast(LogStatus, status), outcome=outcome, completed_at=completed_at)
        self.steps[place] = self.steps[place]._replace(status=status, outcome=outcome, completed_at=completed_at)

    def _skip(self, log: NewLog, reason: str) -> None:
        self._add(LogSoFar(log.action_order, log.action_type, "skipped", None, self.now), skip_reason=reason)

    def _add(
        self,
        log: LogSoFar,
        *,
        executed_at: datetime | None = None,
        skip_reason: str | None = None,
        cost_cents: float = 0.0,
    ) -> None:
        self.logs.append(log)
        self.steps.append(
            Step(
                self.walker.contact_id,
                self.walker.addresses.get(ADDRESS_COLUMNS.get(log.action_type, "")),
                self.flow.name,
                log.action_order,
                log.action_type,
                log.status,
                skip_reason,
                log.outcome,
                executed_at,
                log.completed_at,
                cost_cents,
            )
        )
