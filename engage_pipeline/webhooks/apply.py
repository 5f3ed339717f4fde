"""Applies stored events in micro-batches: read them, confirm what is unsigned, match them to action logs, record.

Applying an event twice changes nothing, so a tick may die anywhere and be repeated.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from psycopg.rows import TupleRow

from engage_pipeline.accounts.stopped import stop_templates
from engage_pipeline.accounts.store import pause_account
from engage_pipeline.channels.answers import AccountTrouble, OptOut, ProviderOutcome, TemplateTrouble, Told, TryLater
from engage_pipeline.channels.protocol import Client
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.channels.router import Router
from engage_pipeline.channels.webhooks import UnreadableWebhook
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.dispatch import dispatch_client
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.execution.suppress import Wish, suppress
from engage_pipeline.garbage import no_garbage_collection
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent

EVENTS_IN_ONE_BATCH = 5_000

UNKNOWN_AFTER = timedelta(minutes=15)
"""How long an event may wait for our own record of the request that it is about."""

ASKING_ENDS_AFTER = timedelta(hours=6)
"""How long a status is confirmed with a provider that does not answer; the poll of overdue outcomes follows."""

_ASK_AT_ONCE = 50


@dataclass
class ApplyReport:
    """What was done: events by result, outcomes by what the ledger made of them, and what else followed."""

    results: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    opt_out_count: int = 0
    put_off_count: int = 0
    paused: list[UUID] = field(default_factory=list)
    stopped_template_count: int = 0

    @property
    def event_count(self) -> int:
        """Events that are done with."""
        return self.results.total()

    def as_counts(self) -> dict[str, int]:
        """Flat counts, for metadata."""
        return {
            **{f"{result}_event_count": count for result, count in sorted(self.results.items())},
            **{f"{outcome}_outcome_count": count for outcome, count in sorted(self.outcomes.items())},
            "opt_out_count": self.opt_out_count,
            "put_off_count": self.put_off_count,
            "paused_account_count": len(self.paused),
            "stopped_template_count": self.stopped_template_count,
        }

    def add(self, other: "ApplyReport") -> None:
        """Count another batch too."""
        self.results += other.results
        self.outcomes += other.outcomes
        self.opt_out_count += other.opt_out_count
        self.put_off_count += other.put_off_count
        self.paused += other.paused
        self.stopped_template_count += other.stopped_template_count


@dataclass
class _Event:
    """One stored event while it is applied, and the action log of its tenant that it is about. Without a `result` it is
    looked at again at `due_at`."""

    event_id: int
    account_id: UUID
    user_id: UUID
    channel: str
    provider: str
    body: str
    received_at: datetime
    told: Sequence[Told] = ()
    result: str | None = None
    due_at: datetime | None = None
    log_id: UUID | None = None


def apply_events(
    connection: Connection,
    channels: Mapping[str, Router],
    settings: Settings,
    *,
    now: datetime,
    limit: int = EVENTS_IN_ONE_BATCH,
) -> ApplyReport:
    """Apply the events that are due, `limit` of them at the most, in one transaction. An empty report: none was due."""
    rows = connection.execute(load_statement(_HERE, "due_events"), {"now": now, "limit": limit}).fetchall()
    if not rows:
        return ApplyReport()
    # Measured, the collector took half of the time that Python spends on a batch.
    with no_garbage_collection():
        return _apply_rows(connection, rows, channels, settings, now=now)


def _apply_rows(
    connection: Connection,
    rows: Sequence[TupleRow],
    channels: Mapping[str, Router],
    settings: Settings,
    *,
    now: datetime,
) -> ApplyReport:
    events = [_Event(*row) for row in rows]
    for event in events:
        _read(event)
    unconfirmed = [event for event in events if _needs_confirmation(event)]
    if unconfirmed:
        asyncio.run(_confirm(unconfirmed, channels, settings, now=now))
    with connection.transaction():
        # Another tick may have been at the same events since they were read; whoever locks them first applies them.
        held = connection.execute(
            "select id from provider_events where id = any(%b) and due_at is not null"
            " order by id for update skip locked",
            [[event.event_id for event in events]],
        ).fetchall()
        ours = {event_id for (event_id,) in held}
        return _apply(connection, [event for event in events if event.event_id in ours], now=now)


def _apply(connection: Connection, events: Sequence[_Event], *, now: datetime) -> ApplyReport:
    report = ApplyReport()
    outcomes = _matched(connection, events, now=now)
    if outcomes:
        report.outcomes = record_outcomes(connection, outcomes, now=now)
    wishes, troubles, template_troubles = [], {}, {}
    for event in events:
        for told in event.told:
            report.opt_out_count += isinstance(told, OptOut) or (isinstance(told, ProviderOutcome) and told.is_opt_out)
            if isinstance(told, OptOut):
                wishes.append(Wish(event.user_id, told.channel, told.address, told.source))
                event.result = event.result or "opted_out"
            elif isinstance(told, AccountTrouble):
                troubles[event.account_id] = told
            elif isinstance(told, TemplateTrouble) and event.log_id is not None:
                template_troubles[event.log_id] = f"{told.code}: {told.reason}"
        if event.result is None and event.due_at is None:
            event.result = "nothing"
    suppress(connection, list(dict.fromkeys(wishes)), now=now)
    for account_id, trouble in troubles.items():
        if pause_account(connection, account_id, reason=f"{trouble.code}: {trouble.reason}", now=now):
            report.paused.append(account_id)
    report.stopped_template_count = stop_templates(connection, template_troubles, now=now)
    connection.execute(
        load_statement(_HERE, "finish_events"),
        {
            "event_ids": [event.event_id for event in events],
            "results": [event.result for event in events],
            "due_ats": [event.due_at for event in events],
            "now": now,
        },
    )
    report.results = Counter(event.result for event in events if event.result is not None)
    report.put_off_count = sum(event.result is None for event in events)
    return report


def _read(event: _Event) -> None:
    webhooks = PROVIDERS[event.provider].webhooks
    try:
        event.told = () if webhooks is None else webhooks.read(json.loads(event.body))
    except UnreadableWebhook:
        event.result = "unreadable"


def _needs_confirmation(event: _Event) -> bool:
    """Anybody who knows the path of an unsigned webhook can write one, so what would end a call is read again."""
    webhooks = PROVIDERS[event.provider].webhooks
    if webhooks is None or webhooks.is_signed:
        return False
    return any(not isinstance(told, ProviderOutcome) or told.outcome != "accepted" for told in event.told)


async def _confirm(
    events: Sequence[_Event], channels: Mapping[str, Router], settings: Settings, *, now: datetime
) -> None:
    """Put what the provider itself says in the place of what each event told."""
    at_once = asyncio.Semaphore(_ASK_AT_ONCE)
    async with dispatch_client(settings) as client:
        asked: dict[tuple[UUID, str], asyncio.Task[ProviderOutcome | TryLater | None]] = {}
        for event in events:
            key = (event.account_id, _message_id(event))
            if key not in asked:
                asked[key] = asyncio.create_task(_ask(channels[event.channel], client, *key, at_once))
        await asyncio.gather(*asked.values())
    for event in events:
        answer = asked[event.account_id, _message_id(event)].result()
        troubles = [told for told in event.told if isinstance(told, AccountTrouble)]
        if isinstance(answer, ProviderOutcome) and answer.outcome != "accepted":
            # The trouble of the event is believed only when the provider says the same of the call.
            said = (answer.detail.get("provider_status"),)
            event.told = [answer, *(trouble for trouble in troubles if trouble.code in said)]
        elif isinstance(answer, TryLater) and now - event.received_at < ASKING_ENDS_AFTER:
            event.told, event.due_at = (), now + max(timedelta(seconds=10), (now - event.received_at))
        else:
            event.told, event.result = (), "unconfirmed"


async def _ask(
    router: Router, client: Client, account_id: UUID, message_id: str, at_once: asyncio.Semaphore
) -> ProviderOutcome | TryLater | None:
    async with at_once:
        return await router.ask_account(client, account_id, provider_message_id=message_id)


def _message_id(event: _Event) -> str:
    return next(
        told.provider_message_id
        for told in event.told
        if isinstance(told, ProviderOutcome) and told.provider_message_id is not None
    )


def _matched(connection: Connection, events: Sequence[_Event], *, now: datetime) -> list[ProviderOutcome]:
    """The outcomes that belong to an action log of the account's own tenant, each with the log's id.

    An event about a request that is not recorded yet waits; of another tenant's, it is done with.
    """
    pairs = [(event, told) for event in events for told in event.told if isinstance(told, ProviderOutcome)]
    found = _logs_by_our_id(connection, pairs)
    missing = [position for position in range(len(pairs)) if position not in found]
    found.update(_logs_by_message(connection, pairs, missing))
    matched = []
    for position, (event, told) in enumerate(pairs):
        log_id, user_id = found.get(position, (None, None))
        if user_id == event.user_id:
            event.result, event.log_id = "applied", log_id
            matched.append(told if told.action_log_id == log_id else replace(told, action_log_id=log_id))
        elif log_id is not None:
            event.result = "other_tenant"
        elif now - event.received_at > UNKNOWN_AFTER:
            event.result = "unknown_id"
        else:
            event.due_at = now + max(timedelta(seconds=2), (now - event.received_at))
    return matched


_Pairs = Sequence[tuple[_Event, ProviderOutcome]]
_Found = dict[int, tuple[UUID | None, UUID | None]]


def _logs_by_our_id(connection: Connection, pairs: _Pairs) -> _Found:
    """Position -> (action log, tenant), by the id that the provider gave back."""
    given = [told.action_log_id for _, told in pairs if told.action_log_id is not None]
    rows = connection.execute(
        "select logs.id, executions.user_id from flow_action_logs as logs"
        " inner join flow_executions as executions on executions.id = logs.execution_id where logs.id = any(%b)",
        [given],
    ).fetchall()
    tenants: dict[UUID, UUID] = dict(rows)
    return {
        position: (told.action_log_id, tenants[told.action_log_id])
        for position, (_, told) in enumerate(pairs)
        if told.action_log_id in tenants
    }


def _logs_by_message(connection: Connection, pairs: _Pairs, positions: Sequence[int]) -> _Found:
    """Position -> (action log, tenant), by the provider's id of the message; the event's own tenant goes first."""
    wanted = [position for position in positions if pairs[position][1].provider_message_id is not None]
    if not wanted:
        return {}
    rows = connection.execute(
        load_statement(_HERE, "logs_by_message"),
        {
            "positions": wanted,
            "message_ids": [pairs[position][1].provider_message_id for position in wanted],
            "channels": [pairs[position][0].channel for position in wanted],
            "user_ids": [pairs[position][0].user_id for position in wanted],
        },
    ).fetchall()
    return {position: (log_id, user_id) for position, log_id, user_id in rows}
