"""Sends what is due in one micro-batch on one channel: claims chunks, sends them concurrently, records the answers."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engage_pipeline.channels.answers import Answer, TryLater, Unknown
from engage_pipeline.channels.http import ProviderClient, open_client
from engage_pipeline.channels.protocol import Channel, Client
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.execution.ledger import Intent, claim_due, record_answers, record_look_ups, select_lost
from engage_pipeline.execution.termination import put_off_termination
from engage_pipeline.execution.test_runs import recorded
from engage_pipeline.garbage import no_garbage_collection
from engage_pipeline.settings import Settings

Clock = Callable[[], datetime]

CHUNKS_AT_ONCE = 4
"""Chunks that may be claimed and not yet recorded: what a crash can leave to be looked up. With fewer, connections are
idle while the ledger is written; two of twice the size come and go in bursts."""


def dispatch_client(settings: Settings) -> AbstractAsyncContextManager[ProviderClient]:
    """The client of one run: a connection for each request that may be in flight.

    One exchange ends within `request_timeout_seconds`. The parts add up to the whole, because nobody may ask after a
    request that could still be on its way.
    """
    whole = settings.request_timeout_seconds
    return open_client(
        connections=CHUNKS_AT_ONCE * settings.chunk_size,
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
    client: Client,
    settings: Settings,
    *,
    clock: Clock = utc_now,
) -> DispatchReport:
    """Look up what an earlier attempt left without an answer, then send what is due.

    What a provider does to one contact is data and never raises. A request to terminate waits until the calls in flight
    have been recorded, and nothing further is claimed.

    Raises:
        LeaseLost: another attempt owns the batch; nothing more is written or sent.
    """
    name = f"engage {channel.action_type}"
    with (
        # Measured, the collector took a quarter of the processor time of a pass.
        no_garbage_collection(),
        put_off_termination() as is_asked_to_end,
        connect(url, application_name=name, idle_seconds=settings.lease_seconds) as for_claims,
        connect(url, application_name=name, idle_seconds=settings.lease_seconds) as for_records,
    ):
        run = _Run(for_claims, for_records, lease, channel, client, settings, clock, is_asked_to_end)
        await run.look_up_lost()
        await run.send_due()
        return run.report


@dataclass
class _Run:
    """One pass over a batch: the next chunk is claimed, and this one's answers are recorded, while calls are in flight.

    At most `CHUNKS_AT_ONCE` are claimed and not yet recorded, and no chunk is claimed while half of one waits for the
    moments that its account's rate gives it: what is claimed and was never sent is looked up after a crash, too.
    """

    for_claims: Connection
    for_records: Connection
    lease: Lease
    channel: Channel
    client: Client
    settings: Settings
    clock: Clock
    is_asked_to_end: Callable[[], bool]
    report: DispatchReport = field(default_factory=DispatchReport)
    is_more_due: bool = True
    claiming: asyncio.Task[None] | None = None
    recording: asyncio.Task[None] | None = None
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    waiting_count: int = 0
    answered: list[tuple[Intent, Answer]] = field(default_factory=list)
    recorded_now_count: int = 0
    record_by: float = 0.0
    failure: BaseException | None = None
    is_over: bool = False
    something_to_do: asyncio.Event = field(default_factory=asyncio.Event)

    async def look_up_lost(self) -> None:
        while not self.is_asked_to_end():
            lost = await asyncio.to_thread(
                select_lost, self.for_records, self.lease, self.channel, self.settings, now=self.clock()
            )
            if not lost:
                return
            found = await asyncio.gather(*(_look_up(self.channel, self.client, intent) for intent in lost))
            self.report.looked_up_count += len(lost)
            self.report.statuses += await asyncio.to_thread(
                record_look_ups,
                self.for_records,
                self.lease,
                self.channel,
                list(zip(lost, found, strict=True)),
                now=self.clock(),
            )

    async def send_due(self) -> None:
        try:
            while self._goes_on():
                await self._wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.is_over = True
            for call in self.calls:
                call.cancel()
            # A statement under way cannot be cancelled, and it uses a connection.
            steps = [step for step in (self.claiming, self.recording) if step is not None]
            await asyncio.gather(*self.calls, *steps, return_exceptions=True)

    def _goes_on(self) -> bool:
        """Begin what can begin now. False when nothing is under way any more.

        Raises what a claim or a record has raised.
        """
        if self.claiming is not None and self.claiming.done():
            self.claiming.result()
            self.claiming = None
        if self.recording is not None and self.recording.done():
            self.recording.result()
            self.recording = None
        if self.claiming is None and self._may_claim():
            self.claiming = self._begin(self._claim())
        if self.recording is None and self._is_time_to_record():
            self.recording = self._begin(self._record())
        return bool(self.calls) or self.claiming is not None or self.recording is not None

    def _begin(self, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(step)
        task.add_done_callback(lambda _: self.something_to_do.set())
        return task

    async def _claim(self) -> None:
        """Claim a chunk and begin its calls."""
        # Before the claim looks: what is recorded meanwhile may bring something that it does not see.
        self.is_more_due = False
        claim = await asyncio.to_thread(
            claim_due, self.for_claims, self.lease, self.channel, self.settings, now=self.clock()
        )
        if self.is_over:
            return  # a record has failed meanwhile, and what became of these could not be recorded either
        self.is_more_due = self.is_more_due or claim.row_count > 0
        self.report.skipped += claim.skipped
        self.report.deferred_count += claim.deferred_count
        self.waiting_count += len(claim.intents)
        for intent in claim.intents:
            call = asyncio.create_task(self._call(intent))
            self.calls.add(call)
            call.add_done_callback(self._ended)

    async def _call(self, intent: Intent) -> None:
        if intent.begins_after_seconds:
            await asyncio.sleep(intent.begins_after_seconds)
        self.waiting_count -= 1
        if self.waiting_count == self._most_waiting():
            self.something_to_do.set()
        answer = await _send(self.channel, self.client, intent, self.settings, self.clock)
        if not self.answered:
            self.record_by = time.monotonic() + _LONGEST_UNRECORDED_SECONDS
        self.answered.append((intent, answer))

    def _ended(self, call: asyncio.Task[None]) -> None:
        self.calls.discard(call)
        if not call.cancelled() and call.exception() is not None:
            self.failure = self.failure or call.exception()
        # Most calls end while nothing can be done about it yet; waking for each would cost as much as half a request.
        if self.failure is not None or not self.calls or self._are_many() or len(self.answered) == 1:
            self.something_to_do.set()

    async def _record(self) -> None:
        answers, self.answered = self.answered, []
        self.recorded_now_count = len(answers)
        self.report.statuses += await asyncio.to_thread(
            record_answers, self.for_records, self.lease, self.channel, answers, self.settings, now=self.clock()
        )
        self.recorded_now_count = 0
        self.is_more_due = True  # what follows an action may be due at once on the same channel

    def _may_claim(self) -> bool:
        unrecorded_count = len(self.calls) + len(self.answered) + self.recorded_now_count
        return (
            self.is_more_due
            and self.failure is None
            and self.waiting_count <= self._most_waiting()
            and unrecorded_count <= (CHUNKS_AT_ONCE - 1) * self.settings.chunk_size
            and not self.is_asked_to_end()
        )

    def _most_waiting(self) -> int:
        return self.settings.chunk_size // 2

    def _is_time_to_record(self) -> bool:
        """A record costs nearly the same for many answers as for one, so it waits for more, but not for long."""
        return bool(self.answered) and (self._are_many() or not self.calls or time.monotonic() >= self.record_by)

    def _are_many(self) -> bool:
        return len(self.answered) >= self.settings.chunk_size

    async def _wait(self) -> None:
        """Until a claim or a record has ended, there are many answers or some that waited long, or no call is left."""
        self.something_to_do.clear()
        is_due_by = bool(self.answered) and self.recording is None
        seconds = max(0.0, self.record_by - time.monotonic()) if is_due_by else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.something_to_do.wait(), seconds)


_LONGEST_UNRECORDED_SECONDS = 0.2
"""How long an answer may wait for others before it is recorded: what a crash would leave to be looked up."""


async def _send(channel: Channel, client: Client, intent: Intent, settings: Settings, clock: Clock) -> Answer:
    """One request, unless its deadline has passed: a worker that was frozen between claim and send must not wake up and
    call while somebody else has been looking the request up."""
    if clock() > intent.executed_at + timedelta(seconds=settings.send_seconds):
        return TryLater("the deadline to begin sending had passed")
    if intent.is_test_run:
        return recorded(intent)
    return await channel.send(client, intent.request, reference=str(intent.action_log_id))


async def _look_up(channel: Channel, client: Client, intent: Intent) -> Answer:
    if intent.is_test_run:
        return recorded(intent)
    if intent.is_stopped and channel.look_up_repeats:
        return Unknown("not asked again: since then nothing more may be sent")
    return await channel.look_up(
        client, intent.request, reference=str(intent.action_log_id), sent_at=intent.executed_at
    )
