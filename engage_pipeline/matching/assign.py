"""Which flow each contact of a frame gets, and why some get none."""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter

import numpy as np
import pandas as pd

from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.conditions import Column, Mask, column_key, holds_for


def assign_flows(contacts: pd.DataFrame, flows: Sequence[StoredFlow]) -> pd.DataFrame:
    """Give each contact the flow of its tenant that wants it and has the lowest priority number.

    Args:
        contacts: one row a contact, any index: contact_id, user_id (ids as text), lead_source, entry_type, is_dnc, a
            column `custom_field:<name>` for each custom field that a condition reads, and for each channel
            `can_<channel>_address` (it has an address) and `can_<channel>` (and has not said no to the channel).
        flows: enabled flows of any tenants, in any order; a priority is unique within a tenant.

    Returns:
        One row a contact, in the same order: contact_id, user_id, flow_id and flow_version (missing unless a flow won),
        reason. matched: the flow runs. no_match: no flow's conditions hold. dnc: a do-not-contact tag, no flow was
        asked. unreachable: the winner's channels need addresses that the contact lacks. suppressed: it has them and
        has said no to each. The last two keep the flow that won, and start nothing.
    """
    by_tenant: dict[str, list[StoredFlow]] = defaultdict(list)
    for flow in flows:
        by_tenant[str(flow.user_id)].append(flow)

    winner = np.full(len(contacts), -1, dtype=np.intp)
    ranked: list[StoredFlow] = []
    columns: dict[str, Column] = {}
    waiting_for_all = ~contacts["is_dnc"].to_numpy(dtype=np.bool_)
    users = contacts["user_id"].to_numpy()
    for user_id, own in by_tenant.items():
        waiting = waiting_for_all & (users == user_id)
        for flow in sorted(own, key=attrgetter("definition.priority")):
            if not waiting.any():
                break
            wanted = waiting & _matches(flow, contacts, columns)
            winner[wanted] = len(ranked)
            ranked.append(flow)
            waiting &= ~wanted
    return _answer(contacts, winner, ranked)


def _matches(flow: StoredFlow, contacts: pd.DataFrame, columns: dict[str, Column]) -> Mask:
    holds = np.ones(len(contacts), dtype=np.bool_)
    for condition in flow.definition.trigger_conditions:
        key = column_key(condition)
        if key not in columns:
            columns[key] = Column.of(contacts[key])
        holds &= holds_for(condition, columns[key])
    return holds


def _answer(
    contacts: pd.DataFrame, winner: "np.ndarray[tuple[int], np.dtype[np.intp]]", ranked: list[StoredFlow]
) -> pd.DataFrame:
    has_winner = winner >= 0
    reason = np.where(has_winner, "matched", "no_match").astype(object)
    reason[contacts["is_dnc"].to_numpy(dtype=np.bool_)] = "dnc"
    for number, flow in enumerate(ranked):
        channels = {action.action_type for action in flow.definition.actions} & set(ADDRESS_COLUMNS)
        if not channels:
            continue
        rows = winner == number
        addressable = np.logical_or.reduce([contacts[f"can_{channel}_address"].to_numpy(bool) for channel in channels])
        allowed = np.logical_or.reduce([contacts[f"can_{channel}"].to_numpy(bool) for channel in channels])
        reason[rows & ~addressable] = "unreachable"
        reason[rows & addressable & ~allowed] = "suppressed"
    flow_ids = np.array([*(str(flow.flow_id) for flow in ranked), None], dtype=object)
    versions = np.array([*(flow.version for flow in ranked), None], dtype=object)
    return pd.DataFrame(
        {
            "contact_id": contacts["contact_id"].to_numpy(),
            "user_id": contacts["user_id"].to_numpy(),
            "flow_id": flow_ids[winner],
            "flow_version": versions[winner],
            "reason": reason,
        }
    )
