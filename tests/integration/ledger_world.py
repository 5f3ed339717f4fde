"""A small installation for tests of the ledger: real PostgreSQL, the real sandbox over HTTP, and no Dagster.

`World` makes tenants, flows and contacts, ticks like a sensor and runs a batch like a job does, step by step, so that a
test can stop anywhere in between. Time passes by moving what is due into the past: every statement then reads its own
real clock, PostgreSQL's included.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from engage_pipeline.books import Books, read_books
from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.http import ProviderClient
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.channels.registry import sandbox_channels
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease, acquire
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.execution.batches import BatchKind, RequestedBatch, finish_batch, form_batches
from engage_pipeline.execution.dispatch import Clock, DispatchReport, dispatch_client, dispatch_due
from engage_pipeline.execution.ledger import close_expired, complete_waits
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.execution.start import start_executions
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import StoredFlow, apply_flows, find_flow
from engage_pipeline.matching.batch import assign_batch
from engage_pipeline.settings import Settings

CHANNELS = ("ai_call", "whatsapp_message", "email")

CONFIG: dict[str, dict[str, Any]] = {
    "ai_call": {"agent_id": "agent-1", "phone_number_id": "+12025550100"},
    "whatsapp_message": {"template_id": "welcome"},
    "email": {"template_id": "welcome"},
    "wait": {"duration_minutes": 60},
}

QUICK = Settings(request_timeout_seconds=2, batch_size=100, max_send_attempts=3)
"""Settings under which a request that hangs costs a test 1.2 seconds."""

Step = str | tuple[str, str]


def flow_of(*steps: Step, name: str = "Welcome", priority: int = 0, **fields: Any) -> Flow:
    """A flow with these steps in order: an action type, or an action type with its execute_condition."""
    pairs = [(step, "always") if isinstance(step, str) else step for step in steps]
    return Flow.model_validate(
        {
            "name": name,
            "priority": priority,
            "actions": [
                {
                    "action_order": order,
                    "action_type": action_type,
                    "action_config": CONFIG[action_type],
                    "execute_condition": condition,
                }
                for order, (action_type, condition) in enumerate(pairs, start=1)
            ],
            **fields,
        }
    )


@dataclass(frozen=True)
class Log:
    """One action log as a test reads it."""

    id: UUID
    execution_id: UUID
    action_order: int
    action_type: str
    status: str
    due_at: datetime | None
    micro_batch_id: UUID | None
    attempt_count: int
    request: dict[str, Any] | None
    provider_message_id: str | None
    outcome: str | None
    outcome_at: datetime | None
    accepted_at: datetime | None
    cost_cents: Decimal | None
    call_seconds: Decimal | None
    executed_at: datetime | None
    completed_at: datetime | None
    result_data: dict[str, Any]
    error_message: str | None
    skip_reason: str | None


class WithoutOutcomes:
    """A channel whose provider tells nothing later."""

    reports_outcomes = False

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


@dataclass
class World:
    """One tenant's installation. `connection` is the test's own; every run opens others."""

    url: str
    connection: Connection
    sandbox: Any
    settings: Settings = QUICK
    tenant_name: str = "acme"
    contact_count: int = field(default=0, init=False)

    @property
    def tenant(self) -> Tenant:
        """The tenant, made when first mentioned."""
        return ensure_tenant(self.connection, self.tenant_name, legal_hours=False)

    def apply(self, *flows: Flow) -> list[StoredFlow]:
        """Put flows in force and read them back."""
        apply_flows(self.connection, self.tenant, flows)
        return [find_flow(self.connection, self.tenant, flow.name) for flow in flows]

    def contact(self, **columns: Any) -> UUID:
        """A new contact that every channel can reach, unless `columns` say otherwise."""
        self.contact_count += 1
        values = {
            "user_id": self.tenant.user_id,
            "entry_type": "manual",
            "phone_e164": f"+1202555{self.contact_count:04}",
            "email": f"lead{self.contact_count}@example.com",
            **columns,
        }
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
        return self.insert("contacts", **values)

    def insert(self, table: str, **values: Any) -> UUID:
        """One row; gives its id."""
        statement = sql.SQL("insert into {} ({}) values ({}) returning id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        )
        row = self.connection.execute(statement, list(values.values())).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def tick(self, kind: BatchKind) -> list[RequestedBatch]:
        """What one sensor tick asks for."""
        return form_batches(self.connection, kind, self.settings)

    def only_batch(self, kind: BatchKind) -> RequestedBatch:
        """The one batch that a tick asks for."""
        (batch,) = self.tick(kind)
        return batch

    def take(self, batch: RequestedBatch) -> Lease:
        """The lease that the batch's run would hold."""
        lease = self.try_to_take(batch)
        assert lease is not None
        return lease

    def try_to_take(self, batch: RequestedBatch) -> Lease | None:
        """The lease, or None when the attempt was superseded or the batch is done."""
        return acquire(
            self.connection,
            "micro_batches",
            batch.batch_id,
            attempt=batch.attempt,
            lease_seconds=self.settings.lease_seconds,
        )

    def started(self, *, now: datetime | None = None) -> Lease:
        """The lease of a batch of all new contacts, matched and started, with nothing sent yet."""
        lease = self.take(self.only_batch("new_contacts"))
        self.start(lease, now=now)
        return lease

    def start(self, lease: Lease, *, now: datetime | None = None) -> None:
        """The first two steps of a run: match, start executions."""
        assign_batch(self.url, lease, idle_seconds=self.settings.lease_seconds)
        start_executions(self.connection, lease, now=now or utc_now())

    def channel(self, action_type: str) -> Channel:
        """One channel to the sandbox, for which accepted is success, as most rules of the ledger do not turn on it."""
        return WithoutOutcomes(sandbox_channels(self.sandbox.url)[action_type])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ProviderClient]:
        """The HTTP client of a run."""
        async with dispatch_client(self.settings) as client:
            yield client

    async def dispatch(
        self, lease: Lease, *, channels: Sequence[str] = CHANNELS, clock: Clock = utc_now
    ) -> dict[str, DispatchReport]:
        """The waits and then the channels of a run, in the order of its ops; the batch stays open."""
        now = clock()
        await asyncio.to_thread(close_expired, self.connection, lease, now=now)
        await asyncio.to_thread(complete_waits, self.connection, lease, now=now)
        reports = {}
        async with self.client() as client:
            for action_type in channels:
                reports[action_type] = await dispatch_due(
                    self.url, lease, self.channel(action_type), client, self.settings, clock=clock
                )
        return reports

    async def run(self, batch: RequestedBatch, kind: BatchKind, *, clock: Clock = utc_now) -> None:
        """A whole run of one batch, as its job does it; nothing when another attempt has it."""
        lease = self.try_to_take(batch)
        if lease is None:
            return
        if kind == "new_contacts":
            self.start(lease, now=clock())
        await self.dispatch(lease, clock=clock)
        finish_batch(self.connection, lease)

    async def settle(self) -> None:
        """Ticks and runs until nothing is due now."""
        kinds: tuple[BatchKind, ...] = ("new_contacts", "due_actions")
        while batches := [(batch, kind) for kind in kinds for batch in self.tick(kind)]:
            for batch, kind in batches:
                await self.run(batch, kind)

    def reach_everybody(self) -> None:
        """The providers tell that everything accepted so far has reached its contact."""
        reached = {"ai_call": "answered", "whatsapp_message": "read", "email": "delivered"}
        outcomes = [
            ProviderOutcome("any", None, log.id, reached[log.action_type], utc_now())
            for log in self.logs()
            if log.status == "sent"
        ]
        record_outcomes(self.connection, outcomes, now=utc_now())

    def pass_time(self, **duration: float) -> None:
        """Everything that is due comes nearer by this timedelta. When requests were sent stays: providers know it."""
        self.connection.execute(
            "update flow_action_logs set due_at = due_at - %s where due_at is not null", [timedelta(**duration)]
        )
        self.connection.execute("update channel_budgets set held_until = held_until - %s", [timedelta(**duration)])

    def let_leases_lapse(self) -> None:
        """Every run has been silent for longer than its lease."""
        self.connection.execute(
            "update micro_batches set lease_expires_at = clock_timestamp() - interval '1 second'"
            " where status = 'running'"
        )

    def logs(self, contact_id: UUID | None = None) -> list[Log]:
        """Action logs by contact and order, of one contact or all."""
        rows = self.connection.execute(
            sql.SQL(
                "select {} from flow_action_logs where %(contact)s::uuid is null or execution_id in"
                " (select id from flow_executions where contact_id = %(contact)s::uuid)"
                " order by execution_id, action_order"
            ).format(sql.SQL(", ").join(map(sql.Identifier, Log.__dataclass_fields__))),
            {"contact": contact_id},
        ).fetchall()
        return [Log(*row) for row in rows]

    def only_log(self) -> Log:
        """The only action log there is."""
        (log,) = self.logs()
        return log

    def statuses(self, contact_id: UUID | None = None) -> list[str]:
        """Statuses of the action logs, in order."""
        return [log.status for log in self.logs(contact_id)]

    def executions(self) -> list[str]:
        """Statuses of the executions, by contact's age."""
        rows = self.connection.execute(
            "select status from flow_executions inner join contacts on contacts.id = contact_id order by contacts.id"
        ).fetchall()
        return [row[0] for row in rows]

    def effects(self) -> list[str | None]:
        """The action log of each thing that a provider really did."""
        return [reference for reference, _ in self.sandbox.effects()]

    def books(self) -> Books:
        """The books at this moment."""
        return read_books(self.connection, self.sandbox.record_path)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the ledger, to tell whether a step changed anything."""
        tables = ("flow_assignments", "flow_executions", "flow_action_logs", "micro_batches", "contacts")
        rows = sql.SQL("select * from {} order by 1, 2")
        return {table: self.connection.execute(rows.format(sql.Identifier(table))).fetchall() for table in tables}
