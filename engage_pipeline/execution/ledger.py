"""The ledger's transitions around a send: claim with the intent stored, record the answers, follow up what was lost.

Each function is one transaction that proves the batch's lease. Between `claim` and `record` the requests go out, and
whatever dies there leaves logs in `sending`, which are looked up after their deadline and never sent again blindly.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from engage_pipeline.accounts.stopped import stop_templates, stopped_for
from engage_pipeline.accounts.store import pause_account
from engage_pipeline.channels.answers import Accepted, Answer, Refused, TryLater, Unknown
from engage_pipeline.channels.protocol import Channel, Recipient, Request, Skip
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.advance import advance, mark_running
from engage_pipeline.execution.budgets import adapt_budgets, draw_budgets
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.hours import Place, next_open_instant, schedules_of
from engage_pipeline.execution.places import flows_of_executions, hours_of_tenants
from engage_pipeline.execution.stop import stop_logs
from engage_pipeline.execution.suppress import suppress_contacts
from engage_pipeline.flows.model import Flow
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent

UNKNOWN_CLOSES_AFTER = timedelta(days=7)
"""How long an unknown result may be resolved before the log closes as failed."""

LOOK_UPS_END_AFTER = timedelta(days=1)
"""How long a request is asked about before its result is unknown. Resend keeps its idempotency keys as long."""

FIRST_RETRY_SECONDS = 5.0
"""Delay before the second send when the provider names none; it doubles with each further one."""

LONGEST_RETRY_SECONDS = 900.0
"""It doubles up to this; a provider may ask for more."""

RETRY_SPREAD = 0.5
"""Each delay is up to so much longer by chance, or all that was put off together would come again together."""

_RNG = random.Random()  # noqa: S311 - it spreads retries


class Intent(NamedTuple):
    """One request that is stored as `sending`.

    `is_stopped`: it went out, and must not go out again. `is_test_run`: it is recorded here, and never sent.
    `begins_after_seconds`: after the claim, so that the account keeps to its rate.
    """

    action_log_id: UUID
    execution_id: UUID
    request: Request
    executed_at: datetime
    attempt_count: int
    is_stopped: bool = False
    is_test_run: bool = False
    begins_after_seconds: float = 0.0


@dataclass
class Claim:
    """What one claim did: the intents to send, and how the rest of the chunk ended or moved. `row_count` 0: nothing was
    due."""

    intents: list[Intent] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    deferred_count: int = 0
    row_count: int = 0


def claim_due(connection: Connection, lease: Lease, channel: Channel, settings: Settings, *, now: datetime) -> Claim:
    """pending -> sending for one chunk of the batch, oldest first, with the intent stored before anything is sent.

    On the way, what a rule of docs/execution.md keeps from being sent is skipped, deferred to the next opening, or has
    its execution cancelled.

    Raises:
        LeaseLost: another attempt owns the batch.
    """
    with connection.transaction():
        lease.hold(connection)
        draw = draw_budgets(connection, lease, channel.action_type, settings, now=now)
        with connection.cursor(row_factory=class_row(_DueLog)) as cursor:
            rows = cursor.execute(
                load_statement(_HERE, "select_due_logs"),
                {
                    "micro_batch_id": lease.work_id,
                    "action_type": channel.action_type,
                    "now": now,
                    "chunk_size": settings.chunk_size,
                    **draw.limits(settings.chunk_size),
                },
            ).fetchall()
        sorting = _Sorting(connection, channel, rows, now=now)
        for row in rows:
            sorting.sort(row)
        sorting.skip_same_addresses()
        sorting.write()
        marked = _mark_sending(connection, sorting.sendable, settings, now=now)
        tenants = [sorting.sendable[log_id].user_id for log_id, _ in marked]
        draw.spend(connection, tenants, now=now)
        intents = [
            sorting.sendable[log_id].intent(log_id, attempt_count, begins_after_seconds=seconds, now=now)
            for (log_id, attempt_count), seconds in zip(marked, draw.moments(tenants), strict=True)
        ]
        mark_running(connection, [intent.execution_id for intent in intents])
        advance(connection, sorting.skipped_executions, now=now, micro_batch_id=lease.work_id)
    return Claim(intents, sorting.skipped_count, len(sorting.deferrals), len(rows))


def record_answers(
    connection: Connection,
    lease: Lease,
    channel: Channel,
    answers: Sequence[tuple[Intent, Answer]],
    settings: Settings,
    *,
    now: datetime,
    rng: random.Random = _RNG,
) -> Counter[str]:
    """Store what came of a chunk of requests and write what follows, in one transaction. Returns statuses counted.

    Raises:
        LeaseLost: another attempt owns the batch; the answers are lost and the logs will be looked up.
    """
    verdicts = [(intent, _verdict(channel, intent, answer, settings, now=now, rng=rng)) for intent, answer in answers]
    with connection.transaction():
        recorded = _record(connection, lease, verdicts, now=now)
        _heed(connection, answers, now=now)
    return recorded


def record_look_ups(
    connection: Connection,
    lease: Lease,
    channel: Channel,
    answers: Sequence[tuple[Intent, Answer]],
    *,
    now: datetime,
    rng: random.Random = _RNG,
) -> Counter[str]:
    """Store what was learned about requests whose answer had been lost. Returns statuses counted.

    None of them becomes sendable again: one that nobody can tell about yet stays `sending` and is asked about later.

    Raises:
        LeaseLost: another attempt owns the batch.
    """
    verdicts = [(intent, _look_up_verdict(channel, intent, answer, now=now, rng=rng)) for intent, answer in answers]
    return _record(connection, lease, verdicts, now=now)


def _record(
    connection: Connection, lease: Lease, verdicts: Sequence[tuple[Intent, "_Verdict"]], *, now: datetime
) -> Counter[str]:
    with connection.transaction():
        lease.hold(connection)
        recorded = connection.execute(
            load_statement(_HERE, "record_answers"),
            {
                "action_log_ids": [intent.action_log_id for intent, _ in verdicts],
                "execution_ids": [intent.execution_id for intent, _ in verdicts],
                "statuses": [verdict.status for _, verdict in verdicts],
                "provider_message_ids": [verdict.provider_message_id for _, verdict in verdicts],
                "outcomes": [verdict.outcome for _, verdict in verdicts],
                "error_messages": [verdict.error_message for _, verdict in verdicts],
                "results": [Jsonb(verdict.result_data) for _, verdict in verdicts],
                "due_ats": [verdict.due_at for _, verdict in verdicts],
                "now": now,
            },
        ).fetchall()
        # What follows joins the batch: the run's later ops send it at once, and closing the batch lets go of the rest.
        advance(connection, [intent.execution_id for intent, _ in verdicts], now=now, micro_batch_id=lease.work_id)
    return Counter(status for (status,) in recorded)


def select_lost(
    connection: Connection, lease: Lease, channel: Channel, settings: Settings, *, now: datetime
) -> list[Intent]:
    """Intents of the batch whose answer never came and whose deadline and request timeout have passed."""
    with connection.transaction():
        lease.hold(connection)
        rows = connection.execute(
            load_statement(_HERE, "select_lost_logs"),
            {
                "micro_batch_id": lease.work_id,
                "action_type": channel.action_type,
                "now": now,
                "chunk_size": settings.chunk_size,
            },
        ).fetchall()
    return [Intent(*row) for row in rows]


def complete_waits(connection: Connection, lease: Lease, *, now: datetime) -> int:
    """pending -> success for the waits of the batch that are over; what follows joins the batch. Returns how many."""
    with connection.transaction():
        lease.hold(connection)
        rows = connection.execute(
            load_statement(_HERE, "complete_waits"), {"micro_batch_id": lease.work_id, "now": now}
        ).fetchall()
        advance(connection, [row[0] for row in rows], now=now, micro_batch_id=lease.work_id)
    return len(rows)


def close_expired(connection: Connection, lease: Lease, *, now: datetime) -> int:
    """sent, unknown -> failed for the logs of the batch whose outcome nobody learned in time. Returns how many."""
    with connection.transaction():
        lease.hold(connection)
        rows = connection.execute(
            load_statement(_HERE, "close_expired"), {"micro_batch_id": lease.work_id, "now": now}
        ).fetchall()
        advance(connection, [row[0] for row in rows], now=now, micro_batch_id=lease.work_id)
    return len(rows)


@dataclass(frozen=True)
class _DueLog:
    """One row of select_due_logs.sql."""

    action_log_id: UUID
    execution_id: UUID
    flow_id: UUID
    flow_version: int
    user_id: UUID
    contact_id: UUID
    is_test_run: bool
    action_order: int
    due_at: datetime
    time_zones: Sequence[str]
    phone_e164: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    custom_fields: Mapping[str, Any]
    is_dnc: bool
    is_suppressed: bool

    def recipient(self) -> Recipient:
        return Recipient(
            phone_e164=self.phone_e164,
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            company=self.company,
            custom_fields=self.custom_fields,
            user_id=self.user_id,
        )


class _Sorting:
    """The due logs of one claim by what becomes of them. Nothing is sent that a rule holds back."""

    def __init__(self, connection: Connection, channel: Channel, rows: Sequence[_DueLog], *, now: datetime) -> None:
        self.connection, self.channel, self.now = connection, channel, now
        self.flows = flows_of_executions(connection, {(row.flow_id, row.flow_version) for row in rows})
        self.configs = {
            (*key, action.action_order): action.action_config
            for key, flow in self.flows.items()
            for action in flow.actions
        }
        self.tenants = hours_of_tenants(connection, {row.user_id for row in rows})
        self.sendable: dict[UUID, _Sendable] = {}
        self.skips: dict[UUID, tuple[UUID, str]] = {}
        self.words: dict[UUID, str] = {}
        self.deferrals: dict[UUID, datetime] = {}
        self.stopped = stopped_for(connection, {row.user_id for row in rows}, channel.action_type)
        self.parked: list[UUID] = []
        self.skipped_count: Counter[str] = Counter()
        self.touches: dict[UUID, tuple[_DueLog, str, datetime | None]] = {}

    @property
    def skipped_executions(self) -> list[UUID]:
        """Whose next step follows now; those of a contact that is not to be contacted are at their end."""
        return [execution_id for execution_id, _ in self.skips.values()]

    def sort(self, row: _DueLog) -> None:
        """Find what becomes of one log."""
        flow, recipient = self.flows[row.flow_id, row.flow_version], row.recipient()
        address = self.channel.address(recipient)
        config = self.configs[row.flow_id, row.flow_version, row.action_order]
        if row.is_dnc:
            cancel_executions(self.connection, [row.execution_id], reason="dnc", now=self.now)
            self.skipped_count["dnc"] += 1
        elif row.is_suppressed:
            self._skip(row, "suppressed")
        elif address is None:
            self._skip(row, "no_address")
        elif _is_too_late(flow, row.due_at, now=self.now):
            self._skip(row, "expired")
        elif (row.user_id, config.get("template_id")) in self.stopped:
            self.parked.append(row.action_log_id)
        elif self._is_open(row, flow):
            request = self.channel.prepare(recipient, config, reference=str(row.action_log_id))
            if isinstance(request, Skip):
                self._skip(row, request.reason)
                self.words[row.action_log_id] = request.words
                return
            self.sendable[row.action_log_id] = _Sendable(row.execution_id, row.user_id, request, row.is_test_run)
            if not row.is_test_run:
                self.touches[row.action_log_id] = (row, address, _held_until(flow, now=self.now))

    def _is_open(self, row: _DueLog, flow: Flow) -> bool:
        """Whether the action may be taken now; otherwise it is deferred, or skipped if its flow says so."""
        place: Place = self.tenants[row.user_id].place(row.time_zones, row.phone_e164)
        schedules = schedules_of(flow.custom_hours, self.channel.action_type, place)
        opening = next_open_instant(schedules, self.now)
        if opening == self.now:
            return True
        if opening is None:
            self._skip(row, "never_open")
        elif flow.outside_business_hours == "skip":
            self._skip(row, "outside_hours")
        else:
            self.deferrals[row.action_log_id] = opening
        return False

    def skip_same_addresses(self) -> None:
        """Of two contacts with one address, the second gets nothing."""
        if not self.touches:
            return
        rows = [row for row, _, _ in self.touches.values()]
        touched = self.connection.execute(
            load_statement(_HERE, "touch_addresses"),
            {
                "action_log_ids": list(self.touches),
                "contact_ids": [row.contact_id for row in rows],
                "flow_ids": [row.flow_id for row in rows],
                "action_orders": [row.action_order for row in rows],
                "addresses": [address for _, address, _ in self.touches.values()],
                "held_untils": [held_until for _, _, held_until in self.touches.values()],
                "now": self.now,
            },
        ).fetchall()
        for log_id in self.touches.keys() - {log_id for (log_id,) in touched}:
            del self.sendable[log_id]
            self._skip(self.touches[log_id][0], "same_address")

    def write(self) -> None:
        """Store the skips and the deferrals, and park what nobody may send."""
        reasons = {log_id: reason for log_id, (_, reason) in self.skips.items()}
        stop_logs(self.connection, reasons, now=self.now, words=self.words)
        _defer(self.connection, self.deferrals)
        if self.parked:
            self.connection.execute(
                "update flow_action_logs set is_parked = true, micro_batch_id = null, updated_at = now()"
                " where id = any(%s) and status = 'pending'",
                [self.parked],
            )

    def _skip(self, row: _DueLog, reason: str) -> None:
        self.skips[row.action_log_id] = (row.execution_id, reason)
        self.skipped_count[reason] += 1


class _Sendable(NamedTuple):
    execution_id: UUID
    user_id: UUID
    request: Request
    is_test_run: bool

    def intent(self, log_id: UUID, attempt_count: int, *, begins_after_seconds: float, now: datetime) -> Intent:
        """What is sent, once it is stored."""
        return Intent(
            log_id,
            self.execution_id,
            self.request,
            executed_at=now,
            attempt_count=attempt_count,
            is_test_run=self.is_test_run,
            begins_after_seconds=begins_after_seconds,
        )


def _is_too_late(flow: Flow, due_at: datetime, *, now: datetime) -> bool:
    minutes = flow.expires_after_minutes
    return minutes is not None and now - due_at > timedelta(minutes=minutes)


def _held_until(flow: Flow, *, now: datetime) -> datetime | None:
    """When another contact with the address may get the same action; None is never."""
    return None if flow.reentry_after_days is None else now + timedelta(days=flow.reentry_after_days)


class _Verdict(NamedTuple):
    status: str
    due_at: datetime | None = None
    provider_message_id: str | None = None
    outcome: str | None = None
    error_message: str | None = None
    result_data: Mapping[str, Any] = {}


def _verdict(
    channel: Channel, intent: Intent, answer: Answer, settings: Settings, *, now: datetime, rng: random.Random
) -> _Verdict:
    match answer:
        case TryLater(reason, _, str()):
            # Nothing more is claimed for a paused account, and that it could not send is no fault of this action.
            return _Verdict("pending", due_at=now, error_message=reason)
        case TryLater(reason, stops_template=str()):
            # The template is no fault of this action either; the next claim parks it.
            return _Verdict("pending", due_at=now + _retry_delay(intent, answer, rng), error_message=reason)
        case TryLater(reason) if intent.attempt_count >= settings.send_limit(channel.action_type):
            return _Verdict("failed", outcome="refused", error_message=reason, result_data={"code": "gave_up"})
        case TryLater(reason):
            return _Verdict("pending", due_at=now + _retry_delay(intent, answer, rng), error_message=reason)
        case Unknown(reason):
            # As after a crash: it may have arrived, so it is asked about, and never simply sent again.
            return _Verdict("sending", due_at=now + timedelta(seconds=_CLOCK_SLACK_SECONDS), error_message=reason)
        case Accepted() | Refused():
            return _settled_verdict(channel, intent, answer, now=now)


def _look_up_verdict(
    channel: Channel, intent: Intent, answer: Answer, *, now: datetime, rng: random.Random
) -> _Verdict:
    if not isinstance(answer, TryLater):
        return _settled_verdict(channel, intent, answer, now=now)
    age = now - intent.executed_at
    if age > LOOK_UPS_END_AFTER:
        return _settled_verdict(channel, intent, Unknown(answer.reason), now=now)
    # Twice as old at every look: a provider that is down for hours is not asked every few seconds.
    return _Verdict("sending", due_at=now + max(age, _retry_delay(intent, answer, rng)), error_message=answer.reason)


def _heed(connection: Connection, answers: Sequence[tuple[Intent, Answer]], *, now: datetime) -> None:
    """What an answer says beyond its own request: the account can send nothing, or the person said no."""
    for intent, answer in answers:
        account_id = intent.request.get("account_id")
        if isinstance(answer, TryLater) and answer.pauses_account is not None and account_id is not None:
            pause_account(connection, UUID(account_id), reason=answer.pauses_account, now=now)
    stop_templates(
        connection,
        {
            intent.action_log_id: answer.stops_template
            for intent, answer in answers
            if isinstance(answer, TryLater) and answer.stops_template is not None
        },
        now=now,
    )
    adapt_budgets(connection, [(intent.request.get("account_id"), answer) for intent, answer in answers], now=now)
    refused = [intent.action_log_id for intent, answer in answers if isinstance(answer, Refused) and answer.is_opt_out]
    if refused:
        suppress_contacts(connection, dict.fromkeys(refused, "provider"), now=now)


def _retry_delay(intent: Intent, answer: TryLater, rng: random.Random) -> timedelta:
    """How long to wait before the next attempt: never less than the provider asked for."""
    seconds = answer.retry_after_seconds
    if seconds is None:
        seconds = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (intent.attempt_count - 1))
    return timedelta(seconds=seconds + rng.uniform(0, RETRY_SPREAD * max(seconds, FIRST_RETRY_SECONDS)))


def _settled_verdict(
    channel: Channel, intent: Intent, answer: Accepted | Refused | Unknown, *, now: datetime
) -> _Verdict:
    match answer:
        case Accepted(provider_message_id, is_final) if channel.reports_outcomes and not is_final:
            # The log knows how long its outcome may take.
            return _Verdict("sent", provider_message_id=provider_message_id, outcome="accepted")
        case Accepted(provider_message_id):
            return _Verdict("success", provider_message_id=provider_message_id, outcome="accepted")
        case Refused(code, reason):
            return _Verdict("failed", outcome="refused", error_message=reason, result_data={"code": code})
        case Unknown(reason):
            return _Verdict("unknown", due_at=now + UNKNOWN_CLOSES_AFTER, error_message=reason)


def _mark_sending(
    connection: Connection, sendable: Mapping[UUID, _Sendable], settings: Settings, *, now: datetime
) -> list[tuple[UUID, int]]:
    """Store the intents; ids and attempt counts. Those that a stop reached meanwhile are left out and stay pending."""
    if not sendable:
        return []
    return connection.execute(
        load_statement(_HERE, "mark_sending"),
        {
            "action_log_ids": list(sendable),
            "requests": [Jsonb(each.request) for each in sendable.values()],
            "now": now,
            "reconcile_at": now
            + timedelta(seconds=settings.send_seconds + settings.request_timeout_seconds + _CLOCK_SLACK_SECONDS),
        },
    ).fetchall()


_CLOCK_SLACK_SECONDS = 5.0
"""Nobody asks after a request before its deadline plus its timeout plus this, for clocks that differ a little."""


def _defer(connection: Connection, openings: Mapping[UUID, datetime]) -> None:
    if not openings:
        return
    connection.execute(
        "update flow_action_logs as logs set due_at = deferrals.due_at, micro_batch_id = null, updated_at = now()"
        " from unnest(%s::uuid[], %s::timestamptz[]) as deferrals (action_log_id, due_at)"
        " where logs.id = deferrals.action_log_id",
        [list(openings), list(openings.values())],
    )
