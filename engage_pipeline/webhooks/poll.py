"""Asks providers for outcomes that no webhook brought."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.channels.answers import ProviderOutcome, TryLater
from engage_pipeline.channels.protocol import Request
from engage_pipeline.channels.router import Router
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.dispatch import dispatch_client
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent

FIRST_ASKED_AFTER_SECONDS = 600.0
"""Longer than most calls take, and than a provider's first repetitions of a webhook."""

_ASKED_IN_ONE_TICK = 50
"""Ten a second at the sensor's pace, which is within every provider's limits."""

_CHANNELS = ("ai_call", "email")
"""WhatsApp cannot be asked."""

_Overdue = tuple[UUID, str, Request, str]


def poll_overdue(
    connection: Connection, channels: Mapping[str, Router], settings: Settings, *, now: datetime
) -> Counter[str]:
    """Ask about the oldest overdue outcomes and record what is learned. Returns what the ledger made of them."""
    overdue: list[_Overdue] = connection.execute(
        load_statement(_HERE, "overdue_outcomes"),
        {
            "now": now,
            "first": FIRST_ASKED_AFTER_SECONDS,
            "channels": list(_CHANNELS),
            "limit": _ASKED_IN_ONE_TICK,
        },
    ).fetchall()
    if not overdue:
        return Counter()
    outcomes = asyncio.run(_ask(overdue, channels, settings))
    return record_outcomes(connection, outcomes, now=now) if outcomes else Counter()


async def _ask(
    overdue: Sequence[_Overdue], channels: Mapping[str, Router], settings: Settings
) -> list[ProviderOutcome]:
    async with dispatch_client(settings) as client:
        answers: list[ProviderOutcome | TryLater | None] = await asyncio.gather(
            *(
                channels[action_type].ask_outcome(client, request, provider_message_id=message_id)
                for _, action_type, request, message_id in overdue
            )
        )
    return [
        replace(answer, action_log_id=log_id)
        for (log_id, *_), answer in zip(overdue, answers, strict=True)
        if isinstance(answer, ProviderOutcome)
    ]
