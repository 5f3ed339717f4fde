"""Brings what providers tell about accepted requests into the ledger: outcomes refine logs and move executions on.

Providers repeat themselves and come out of order, before our own record and after a timeout. The rank of an outcome
decides what replaces what, so applying the same outcomes again, or in another order, ends in the same ledger.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import OUTCOMES
from engage_pipeline.execution.advance import advance
from engage_pipeline.execution.suppress import suppress_contacts

_HERE = Path(__file__).parent


def record_outcomes(connection: Connection, outcomes: Sequence[ProviderOutcome], *, now: datetime) -> Counter[str]:
    """Apply outcomes to their action logs in one transaction.

    A log that waits (`sending`, `sent` or `unknown`) gets the outcome's status, or becomes `sent`. One that a timeout
    closed gets the true status, and its execution keeps the path that it took. On every other log only the outcome
    changes, and only for one of higher rank. An opt-out suppresses the address and stops what is pending there.

    Returns:
        Outcomes counted: `applied`, `superseded` (the log knows one that ranks as high, or was never sent), and
        `unknown_id` (no log of ours).
    """
    with connection.transaction():
        found = _logs_by_key(connection, outcomes)
        best: dict[UUID, ProviderOutcome] = {}
        opt_outs: dict[UUID, str] = {}
        unknown_id_count = 0
        for outcome in outcomes:
            log_id = found.get(str(outcome.action_log_id)) or found.get(outcome.provider_message_id or "")
            if log_id is None:
                unknown_id_count += 1
                continue
            if outcome.is_opt_out:
                opt_outs[log_id] = outcome.provider
            if log_id not in best or OUTCOMES[outcome.outcome].rank > OUTCOMES[best[log_id].outcome].rank:
                best[log_id] = outcome
        applied = _apply(connection, best, now=now)
        suppress_contacts(connection, opt_outs, now=now)
        advance(connection, [execution_id for _, execution_id in applied], now=now, micro_batch_id=None)
    known_count = len(outcomes) - unknown_id_count
    counts = {"applied": len(applied), "superseded": known_count - len(applied), "unknown_id": unknown_id_count}
    return Counter({name: count for name, count in counts.items() if count})


def _logs_by_key(connection: Connection, outcomes: Sequence[ProviderOutcome]) -> dict[str, UUID]:
    """Action log id and provider message id, as text -> the log. A message id is looked up where no id of ours is
    known: applied events carry ours."""
    known = _found(connection, "id", [each.action_log_id for each in outcomes if each.action_log_id is not None])
    by_message = _found(
        connection,
        "provider_message_id",
        [
            each.provider_message_id
            for each in outcomes
            if each.provider_message_id is not None and each.action_log_id not in known
        ],
    )
    return {**by_message, **{str(log_id): log_id for log_id in known}}


def _found(connection: Connection, column: str, values: Sequence[object]) -> dict[Any, UUID]:
    """Value of the column -> the log."""
    if not values:
        return {}
    statement = sql.SQL("select {0}, id from flow_action_logs where {0} = any(%b)").format(sql.Identifier(column))
    return dict(connection.execute(statement, [list(values)]).fetchall())


def _apply(connection: Connection, best: dict[UUID, ProviderOutcome], *, now: datetime) -> list[tuple[UUID, UUID]]:
    """Returns (action_log_id, execution_id) of the logs that changed."""
    if not best:
        return []
    outcomes = list(best.values())
    return connection.execute(
        load_statement(_HERE, "apply_outcomes"),
        {
            "action_log_ids": list(best),
            "outcomes": [outcome.outcome for outcome in outcomes],
            "statuses": [OUTCOMES[outcome.outcome].status for outcome in outcomes],
            "ranks": [OUTCOMES[outcome.outcome].rank for outcome in outcomes],
            "occurred_ats": [outcome.occurred_at for outcome in outcomes],
            "provider_message_ids": [outcome.provider_message_id for outcome in outcomes],
            "details": [Jsonb(outcome.detail) for outcome in outcomes],
            "costs": [outcome.cost_cents for outcome in outcomes],
            "seconds": [outcome.call_seconds for outcome in outcomes],
            "known_outcomes": list(OUTCOMES),
            "known_ranks": [meaning.rank for meaning in OUTCOMES.values()],
            "now": now,
        },
    ).fetchall()
