"""The blast radius of a plan: which recent contacts another flow would have taken, and what would have been sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.vocabulary import ASSIGNMENT_REASONS, CHANNELS
from engage_pipeline.flows.plan import TenantPlan
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.assign import Assigned, assign
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.recent import recent_contacts
from engage_pipeline.matching.tables import Rows


@dataclass(frozen=True)
class Answer:
    """What matching says to a contact: the name of the flow it gets, or None and the reason."""

    flow: str | None
    reason: str


@dataclass(frozen=True)
class Move:
    """Contacts that would get another answer."""

    was: Answer
    becomes: Answer
    contact_count: int


@dataclass(frozen=True)
class Impact:
    """What a plan would have meant for the contacts of the last days, had they been new with the flows as planned.

    Attributes:
        moves: the largest first.
        actions: channel -> how many actions on it, as it is and as planned, that the contacts' addresses and wishes
            allow. Conditions on earlier results are not foreseen, so these are the most that there can be.
        cancelled: name of each flow to be deleted -> its open executions, which end with it.
    """

    days: int
    contact_count: int
    moves: tuple[Move, ...]
    actions: Mapping[str, tuple[int, int]]
    cancelled: Mapping[str, int]

    @property
    def moved_count(self) -> int:
        """Contacts that would change flow."""
        return sum(move.contact_count for move in self.moves)


def impact_of(connection: Connection, url: str, plan: TenantPlan, *, days: int, now: datetime) -> Impact:
    """Match the tenant's contacts of the last days twice: with the flows in force, and with those of the plan.

    DNC contacts, addresses and wishes are as they are now; re-entry plays no part, as every contact counts as new.
    """
    was, becomes = _Side(plan.before), _Side(plan.after)
    moves: Counter[tuple[Answer, Answer]] = Counter()
    contact_count = 0
    if plan.user_id is not None:
        for columns in recent_contacts(url, plan.user_id, (*plan.before, *plan.after), days=days, now=now):
            contact_count += len(columns)
            left, right = was.answer(columns), becomes.answer(columns)
            pairs, counts = np.unique(np.stack([left, right]), axis=1, return_counts=True)
            for (one, other), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
                moves[was.labels[one], becomes.labels[other]] += count
    return Impact(
        days,
        contact_count,
        tuple(Move(*pair, count) for pair, count in moves.most_common() if pair[0] != pair[1]),
        {channel: (was.actions[channel], becomes.actions[channel]) for channel in CHANNELS},
        _cancelled(connection, plan),
    )


class _Side:
    """One set of flows: their program, and what it adds up to over the batches."""

    def __init__(self, flows: Sequence[StoredFlow]) -> None:
        self.program = Program([flow for flow in flows if flow.definition.is_enabled])
        self.labels = [
            *(Answer(flow.definition.name, "matched") for flow in self.program.flows),
            *(Answer(None, reason) for reason in ASSIGNMENT_REASONS),
        ]
        self.actions: Counter[str] = Counter()
        self._per_contact = {
            channel: np.array(
                [_action_count(flow, channel) for flow in self.program.flows] + [0] * len(ASSIGNMENT_REASONS),
                dtype=np.int64,
            )
            for channel in CHANNELS
        }

    def answer(self, columns: ContactColumns) -> Rows:
        """For each contact the place of its flow or reason in `labels`."""
        assigned: Assigned = assign(self.program, columns)
        is_matched = assigned.reasons == ASSIGNMENT_REASONS.index("matched")
        answered: Rows = np.where(is_matched, assigned.flows, len(self.program.flows) + assigned.reasons)
        for channel, count in self._per_contact.items():
            self.actions[channel] += int(count[answered[columns.mask(f"can_{channel}")]].sum())
        return answered


def _action_count(flow: StoredFlow, channel: str) -> int:
    return sum(action.action_type == channel for action in flow.definition.actions)


def _cancelled(connection: Connection, plan: TenantPlan) -> dict[str, int]:
    deleted = {change.name for change in plan.changes if change.kind == "deleted"}
    rows = connection.execute(
        "select flow_id, count(*) from flow_executions where flow_id = any(%s) and status in ('pending', 'running')"
        " group by flow_id",
        [[flow.flow_id for flow in plan.before if flow.definition.name in deleted]],
    ).fetchall()
    counts: dict[UUID, int] = dict(rows)
    return {
        flow.definition.name: counts.get(flow.flow_id, 0) for flow in plan.before if flow.definition.name in deleted
    }
