"""Why a contact gets the flow it gets: every condition of every enabled flow, from the program that matching runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engage_pipeline.database.bulk import arrow_connection, read_table
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import ASSIGNMENT_REASONS
from engage_pipeline.errors import EngageError
from engage_pipeline.flows.conditions import ConditionGroup, TriggerCondition
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import Assigned, assign
from engage_pipeline.matching.attributes import Attribute, texts_of
from engage_pipeline.matching.batch import current_program
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.predicates import holds, node_of
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.second_arrival import SecondArrival, second_arrival
from engage_pipeline.matching.staging import staged_batches

_HERE = Path(__file__).parent


class NoContact(EngageError):
    """A contact was asked for that does not exist."""

    code = "no-contact"

    def __init__(self) -> None:
        # Without what was asked for: it may be somebody's number or address.
        super().__init__(
            what="there is no such contact",
            why="no contact has that id, phone number or e-mail address",
            fix="give the id, the phone number as +12025550100, or the whole e-mail address",
        )


@dataclass(frozen=True)
class Line:
    """One condition or group: how deep it stands (0 at the top), its words, the texts seen, and whether it holds.

    `seen` is None for a group.
    """

    depth: int
    text: str
    seen: tuple[str, ...] | None
    is_true: bool


@dataclass(frozen=True)
class ExplainedFlow:
    """One enabled flow and its conditions."""

    flow_name: str
    priority: int
    version: int
    is_true: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class StoredAssignment:
    """What the contact was assigned the last time that it was matched. `flow_name` is None without a flow."""

    flow_name: str | None
    flow_version: int | None
    reason: str
    assigned_at: str


@dataclass(frozen=True)
class Explanation:
    """One contact of one tenant, as if it were new.

    Attributes:
        winner: name of the flow that wins; None without one.
        reason: the one that matching would store: matched, no_match, dnc, unreachable or suppressed.
        flows: every enabled flow of the tenant by priority.
        assigned: None for a contact that was never matched.
        again: what it would get if it arrived again now; None for a contact that was never matched.
    """

    contact_id: str
    winner: str | None
    reason: str
    flows: tuple[ExplainedFlow, ...]
    assigned: StoredAssignment | None
    again: SecondArrival | None


def explain_contact(
    connection: Connection, url: str, contact: str, *, now: datetime, program: Program | None = None
) -> list[Explanation]:
    """One explanation for each tenant that has the contact, with the flows as they are now.

    Args:
        contact: an id, a phone number (E.164) or an e-mail address.
        program: of the flows to go by; None: all that are enabled.
        now: what `within_last` counts from.

    Raises:
        NoContact: no tenant has it.
    """
    program = program or current_program(connection)
    with arrow_connection(url) as bulk:
        found = read_table(bulk, load_statement(_HERE, "contact_to_explain"), [contact.strip()])
    if not found.num_rows:
        raise NoContact
    explained = []
    with duckdb.connect() as staging:
        staging.register("contacts", found)
        for batch in staged_batches(staging, program.custom_field_names):
            columns = ContactColumns(batch, program.custom_field_names, microseconds(now))
            assigned = assign(program, columns)
            explained += [
                _explanation(connection, program, columns, assigned, row, now=now) for row in range(len(columns))
            ]
    return explained


def _explanation(
    connection: Connection, program: Program, columns: ContactColumns, assigned: Assigned, row: int, *, now: datetime
) -> Explanation:
    user_id = columns.batch.column("user_id")[row].as_py()
    contact_id = columns.batch.column("contact_id")[row].as_py()
    of_tenant = [stored for stored in program.flows if str(stored.user_id) == user_id]
    flows = []
    for stored in of_tenant:
        flow = stored.definition
        lines = tuple(line for node in flow.trigger_conditions for line in _lines(program, columns, row, node, 0))
        is_true = all(line.is_true for line in lines if line.depth == 0)
        flows.append(ExplainedFlow(flow.name, flow.priority, stored.version, is_true, lines))
    place = int(assigned.flows[row])
    winner = program.flows[place] if place >= 0 else None
    reason = ASSIGNMENT_REASONS[int(assigned.reasons[row])]
    last = _assigned_last(columns.batch, row)
    return Explanation(
        contact_id,
        None if winner is None else winner.definition.name,
        reason,
        tuple(flows),
        last,
        None if last is None else second_arrival(connection, contact_id, of_tenant, winner, reason, now=now),
    )


def _assigned_last(batch: pa.RecordBatch, row: int) -> StoredAssignment | None:
    reason = batch.column("assigned_reason")[row].as_py()
    if reason is None:
        return None
    return StoredAssignment(
        batch.column("assigned_flow_name")[row].as_py(),
        batch.column("assigned_flow_version")[row].as_py(),
        reason,
        batch.column("assigned_at")[row].as_py().isoformat(timespec="seconds"),
    )


def _lines(
    program: Program, columns: ContactColumns, row: int, node: TriggerCondition | ConditionGroup, depth: int
) -> Iterator[Line]:
    rows = np.array([row], dtype=np.int64)
    is_true = bool(holds(node_of(node), lambda test: program.answer(test, columns, rows), 1)[0])
    if isinstance(node, ConditionGroup):
        yield Line(depth, node.kind, None, is_true)
        for inner in node.conditions:
            yield from _lines(program, columns, row, inner, depth + 1)
        return
    value: Any = node.condition_value
    words = [node.condition_type, node.custom_field_name, node.condition_operator]
    words += [", ".join(map(str, value)) if isinstance(value, tuple) else value]
    yield Line(depth, " ".join(str(word) for word in words if word is not None), _seen(columns, row, node), is_true)


def _seen(columns: ContactColumns, row: int, condition: TriggerCondition) -> tuple[str, ...]:
    attribute = Attribute.of(condition)
    if attribute.condition_type == "created_at":
        return (columns.batch.column("created_at")[row].as_py().isoformat(),)
    encoded = columns.encoded(attribute)
    code = int(encoded.codes[row])
    return texts_of(attribute.raw_kind, encoded.distinct[code].as_py()) if code < len(encoded.distinct) else ()
