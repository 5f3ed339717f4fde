"""Takes calls back that the provider still has in its queue, once they should not be made any more.

Bolna queues what exceeds its concurrency, silently, and a queued call could ring hours later: after an opt-out, or
after its flow was deleted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.protocol import Request
from engage_pipeline.channels.router import Router
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.dispatch import dispatch_client
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent
_STOPPED_IN_ONE_TICK = 200

_Queued = tuple[UUID, Request, str]


def stop_queued_calls(
    connection: Connection, channels: Mapping[str, Router], settings: Settings, *, now: datetime
) -> int:
    """Ask the provider to stop unwanted calls, each once. Returns how many were; the others ring already."""
    queued: list[_Queued] = connection.execute(
        load_statement(_HERE, "queued_calls"), {"now": now, "limit": _STOPPED_IN_ONE_TICK}
    ).fetchall()
    if not queued:
        return 0
    stopped = asyncio.run(_stop(queued, channels["ai_call"], settings))
    outcomes = [
        ProviderOutcome("bolna", message_id, log_id, "failed", now, {"provider_status": "stopped"})
        for (log_id, _, message_id), is_stopped in zip(queued, stopped, strict=True)
        if is_stopped
    ]
    record_outcomes(connection, outcomes, now=now)
    return len(outcomes)


async def _stop(queued: Sequence[_Queued], router: Router, settings: Settings) -> list[bool]:
    async with dispatch_client(settings) as client:
        return await asyncio.gather(
            *(router.stop(client, request, provider_message_id=message_id) for _, request, message_id in queued)
        )
