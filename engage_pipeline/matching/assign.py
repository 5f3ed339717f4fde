"""Which flow each contact of a batch gets, and why some get none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engage_pipeline.database.vocabulary import ASSIGNMENT_REASONS, CHANNELS
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.tables import Rows

_REASON_CODES = {reason: code for code, reason in enumerate(ASSIGNMENT_REASONS)}


@dataclass(frozen=True)
class Assigned:
    """The answer for one batch, a place a row, in its order.

    Attributes:
        flows: place in `Program.flows` of the flow that won, -1 without one.
        reasons: place in ASSIGNMENT_REASONS.
    """

    flows: Rows
    reasons: npt.NDArray[np.int64]


def assign(program: Program, columns: ContactColumns) -> Assigned:
    """Give each contact the flow of its tenant that wants it and has the lowest priority number.

    Reasons. matched: the flow runs. no_match: no flow's conditions hold. dnc: a do-not-contact tag, no flow was asked.
    unreachable: the winner's channels need addresses that the contact lacks. suppressed: it has them and has said no to
    each. The last two keep the flow that won, and start nothing.
    """
    flows = program.winners(columns)
    needed = program.channels[flows]
    addressable, allowed = _channels_of_contacts(columns, "_address"), _channels_of_contacts(columns, "")
    reasons = np.select(
        [
            columns.mask("is_dnc"),
            flows < 0,
            (needed > 0) & (needed & addressable == 0),
            (needed > 0) & (needed & allowed == 0),
        ],
        [_REASON_CODES[reason] for reason in ("dnc", "no_match", "unreachable", "suppressed")],
        _REASON_CODES["matched"],
    )
    return Assigned(flows, reasons)


def assignment_columns(program: Program, columns: ContactColumns, assigned: Assigned) -> dict[str, list[Any]]:
    """A value a contact, in the same order: contact_ids, user_ids, flow_ids and flow_versions (None unless a flow won),
    reasons. Plain lists, because pandas takes a third of the time that a single new lead may take."""
    flow_ids = np.array([*(str(flow.flow_id) for flow in program.flows), None], dtype=object)
    versions = np.array([*(flow.version for flow in program.flows), None], dtype=object)
    return {
        "contact_ids": columns.batch.column("contact_id").to_pylist(),
        "user_ids": columns.batch.column("user_id").to_pylist(),
        "flow_ids": flow_ids[assigned.flows].tolist(),
        "flow_versions": versions[assigned.flows].tolist(),
        "reasons": np.array(ASSIGNMENT_REASONS, dtype=object)[assigned.reasons].tolist(),
    }


def _channels_of_contacts(columns: ContactColumns, suffix: str) -> npt.NDArray[np.int64]:
    bits = np.zeros(len(columns), dtype=np.int64)
    for place, channel in enumerate(CHANNELS):
        bits |= columns.mask(f"can_{channel}{suffix}").astype(np.int64) << place
    return bits
