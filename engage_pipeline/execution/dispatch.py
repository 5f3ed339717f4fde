"""Sends what is due in one micro-batch on one channel: claim a chunk, send it concurrently, record, repeat."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from engage_pipeline.channels.answers import Answer, TryLater, Unknown
from engage_pipeline.channels.http import open_client
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.execution.ledger import Intent, claim_due, record_answers, record_look_ups, select_lost
from engage_pipeline.settings import Settings

Clock = Callable[[], datetime]


def dispatch_client(settings: Settings) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """The client of one run: a connection for each request of a chunk, one exchange within `request_timeout_seconds`.

    The parts add up to the whole, because nobody may ask after a request that could still be on its way.
    """
    whole = settings.request_timeout_seconds
    return open_client(
        connections=settings.chunk_size,
        queue_seconds=0.2 * whole,
        connect_seconds=0.2 * whole,
        answer_seconds=0.6 * whole,
    )


@dataclass
class DispatchReport:
    """What one pass over a batch did on one channel: logs by the status they got, and those it moved or let be."""

    statuses: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    deferred_count: int = 0
    looked_up_count: int = 0

    def as_counts(self) -> dict[str, int]:
        """Flat counts, for metadata."""
        return {
            **{f"{status}_count": count for status, count in sorted(self.statuses.items())},
            **{f"skipped_{reason}_count": count for reason, count in sorted(self.skipped.items())},
            **({"deferred_count": self.deferred_count} if self.deferred_count else {}),
            **({"looked_up_count": self.looked_up_count} if self.looked_up_count else {}),
        }


async def dispatch_due(
    url: str,
    lease: Lease,
    channel: Channel,
    client: httpx.AsyncClient,
    settings: Settings,
    *,
    clock: Clock = utc_now,
) -> DispatchReport:
    """Look up what an earlier attempt left without an answer, then send what is due, chunk by chunk.

    What a provider does to one contact is data and never raises.

    Raises:
        LeaseLost: another attempt owns the batch; nothing more is written or sent.
    """
    report = DispatchReport()
    with connect(url, application_name=f"engage {channel.action_type}") as connection:
        while lost := await asyncio.to_thread(select_lost, connection, lease, channel, settings, now=clock()):
            found = await asyncio.gather(*(_look_up(channel, client, intent) for intent in lost))
            report.looked_up_count += len(lost)
            report.statuses += await asyncio.to_thread(
                record_look_ups, connection, lease, channel, list(zip(lost, found, strict=True)), now=clock()
            )
        while True:
            claim = await asyncio.to_thread(claim_due, connection, lease, channel, settings, now=clock())
            report.skipped += claim.skipped
            report.deferred_count += claim.deferred_count
            if claim.row_count == 0:
                return report
            answers = await asyncio.gather(
                *(_send(channel, client, intent, settings, clock) for intent in claim.intents)
            )
            report.statuses += await asyncio.to_thread(
                record_answers,
                connection,
                lease,
                channel,
                list(zip(claim.intents, answers, strict=True)),
                settings,
                now=clock(),
            )


async def _send(
    channel: Channel, client: httpx.AsyncClient, intent: Intent, settings: Settings, clock: Clock
) -> Answer:
    """One request, unless its deadline has passed: a worker that was frozen between claim and send must not wake up and
    call while somebody else has been looking the request up."""
    if clock() > intent.executed_at + timedelta(seconds=settings.send_seconds):
        return TryLater("the deadline to begin sending had passed")
    return await channel.send(client, intent.request, reference=str(intent.action_log_id))


async def _look_up(channel: Channel, client: httpx.AsyncClient, intent: Intent) -> Answer:
    if intent.is_stopped and channel.look_up_repeats:
        return Unknown("not asked again: since then nothing more may be sent")
    return await channel.look_up(
        client, intent.request, reference=str(intent.action_log_id), sent_at=intent.executed_at
    )
