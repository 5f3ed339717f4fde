"""What would become of contacts if they were new now: matched, walked to the end of their flows, and nothing stored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS, ASSIGNMENT_REASONS, CHANNELS
from engage_pipeline.execution.hours import Place
from engage_pipeline.execution.places import TenantHours, hours_of_tenants
from engage_pipeline.execution.provider_model import ProviderModel
from engage_pipeline.execution.walk import Simulation, Step, Walker
from engage_pipeline.execution.zones import contact_zones
from engage_pipeline.flows.store import enabled_flows
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import assign
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_HERE = Path(__file__).parent
_TEXTS = ("contact_id", "user_id", "lead_source", "entry_type", "tags", "email_domain", "phone_e164", "custom_fields")


@dataclass(frozen=True)
class Forecast:
    """What would happen.

    Attributes:
        reasons: contacts by the reason of their assignment.
        executions: (flow, status at the end) -> contacts.
        steps: one row an action log: contact_id, address, flow_name, action_order, action_type, status, skip_reason,
            outcome, executed_at, completed_at (UTC), cost_cents. The address is a person's.
    """

    reasons: Mapping[str, int]
    executions: Mapping[tuple[str, str], int]
    steps: "pd.DataFrame"

    @property
    def contact_count(self) -> int:
        """Contacts that were matched or not."""
        return sum(self.reasons.values())

    def calls_an_hour(self) -> "pd.DataFrame":
        """One row an hour (UTC) in which anything is sent, one column a channel: how many requests."""
        sent = self.steps[self.steps["executed_at"].notna()]
        hour = sent["executed_at"].dt.floor("h").rename("hour")
        return sent.groupby([hour, "action_type"]).size().unstack(fill_value=0)

    def cost_cents(self) -> "pd.Series[float]":
        """Cents of US dollars by channel."""
        sent = self.steps[self.steps["executed_at"].notna()]
        return sent.groupby("action_type")["cost_cents"].sum()

    def action_counts(self) -> Any:
        """A frame of how many actions ended alike: action_type, status, result (an outcome, a skip reason, or over),
        actions."""
        counted = self.steps.assign(result=self.steps["outcome"].fillna(self.steps["skip_reason"]).fillna("over"))
        sizes = counted.groupby(["action_type", "status", "result"]).size()
        return sizes.reset_index(name="actions")

    def as_dict(self) -> dict[str, Any]:
        """Everything that is counted, as JSON values; no address."""
        return {
            "contacts": self.contact_count,
            "reasons": dict(self.reasons),
            "executions": [
                {"flow": flow, "status": status, "contacts": count}
                for (flow, status), count in sorted(self.executions.items())
            ],
            "actions": self.action_counts().to_dict(orient="records"),
            "calls_an_hour": [
                {"hour": f"{hour:%Y-%m-%dT%H:00:00+00:00}", **{str(name): int(count) for name, count in row.items()}}
                for hour, row in self.calls_an_hour().iterrows()
            ],
            "cost_cents": {str(name): round(float(cost), 2) for name, cost in self.cost_cents().items()},
        }


def recent_contacts(connection: Connection, tenant: Tenant, *, days: int, now: datetime) -> "pa.Table":
    """The tenant's contacts of the last days."""
    return _contacts(connection, tenant, since=now - timedelta(days=days), arrived_at=None)


def count_recent_contacts(connection: Connection, tenant: Tenant, *, days: int, now: datetime, at_most: int) -> int:
    """How many contacts the tenant got in the last days; counting ends at `at_most`."""
    row = connection.execute(
        "select count(*) from (select from contacts where user_id = %s and created_at >= %s limit %s) as recent",
        [tenant.user_id, now - timedelta(days=days), at_most],
    ).fetchone()
    return row[0] if row else 0


def arrived_contacts(connection: Connection, tenant: Tenant, *, arrived_at: datetime) -> "pa.Table":
    """The contacts that a load at that moment, still open in this transaction, made new."""
    return _contacts(connection, tenant, since=None, arrived_at=arrived_at)


def simulate(
    connection: Connection, tenant: Tenant, contacts: "pa.Table", behaviour: Behaviour, *, start: datetime
) -> Forecast:
    """Match the contacts with the tenant's flows as they are and walk them, with providers that answer by the seed.

    Every contact counts as new, and every provider's budget as large enough.
    """
    import pandas as pd

    program = Program([flow for flow in enabled_flows(connection) if flow.user_id == tenant.user_id])
    hours = hours_of_tenants(connection, [tenant.user_id])[tenant.user_id]
    reasons, walkers = _match(program, contacts, hours, start=start)
    flows = [(flow.flow_id, flow.definition) for flow in program.flows]
    simulation = Simulation(flows, ProviderModel(behaviour), start=start)
    executions: Counter[tuple[str, str]] = Counter()
    steps: list[Step] = []
    for walker, walk in zip(walkers, simulation.walk(walkers), strict=True):
        executions[flows[walker.flow_place][1].name, walk.status] += 1
        steps += walk.steps
    frame = pd.DataFrame(steps, columns=list(Step._fields))
    for name in ("executed_at", "completed_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return Forecast(reasons, executions, frame)


def _contacts(
    connection: Connection, tenant: Tenant, *, since: datetime | None, arrived_at: datetime | None
) -> "pa.Table":
    import pyarrow as pa

    cursor = connection.execute(
        load_statement(_HERE, "simulated_contacts"),
        {"user_id": tenant.user_id, "since": since, "arrived_at": arrived_at},
    )
    names = [column.name for column in cursor.description or ()]
    columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(names)
    return pa.table(
        {name: pa.array(values, type=_arrow_type(name)) for name, values in zip(names, columns, strict=True)}
    )


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name in (*_TEXTS, "email"):
        return pa.string()
    if name == "created_at":
        return pa.timestamp("us", tz="UTC")
    return pa.list_(pa.string()) if name == "time_zones" else pa.bool_()


def _match(
    program: Program, contacts: "pa.Table", hours: TenantHours, *, start: datetime
) -> tuple[Counter[str], list[Walker]]:
    import duckdb

    reasons: Counter[str] = Counter()
    walkers: list[Walker] = []
    places: dict[tuple[str, ...], Place] = {}
    with duckdb.connect(config={"threads": 2}) as staging:
        staging.register("contacts", contacts)
        for batch in staged_batches(staging, program.custom_field_names):
            columns = ContactColumns(batch, program.custom_field_names, microseconds(start))
            assigned = assign(program, columns)
            reasons.update(np.array(ASSIGNMENT_REASONS, dtype=object)[assigned.reasons].tolist())
            is_matched = assigned.reasons == ASSIGNMENT_REASONS.index("matched")
            walkers += _walkers(columns, assigned.flows, np.flatnonzero(is_matched).tolist(), hours, places)
    return reasons, walkers


def _walkers(
    columns: ContactColumns,
    flows: Any,
    rows: Sequence[int],
    hours: TenantHours,
    places: dict[tuple[str, ...], Place],
) -> list[Walker]:
    batch = columns.batch
    ids, zones = batch.column("contact_id").to_pylist(), batch.column("time_zones").to_pylist()
    addresses = {name: batch.column(name).to_pylist() for name in set(ADDRESS_COLUMNS.values())}
    refused = {
        channel: columns.mask(f"can_{channel}_address") & ~columns.mask(f"can_{channel}") for channel in CHANNELS
    }
    walkers = []
    for row in rows:
        known = contact_zones(zones[row] or (), addresses["phone_e164"][row])
        place = places.get(known)
        if place is None:
            place = places[known] = hours.place(known, None)
        walkers.append(
            Walker(
                ids[row],
                int(flows[row]),
                {name: values[row] for name, values in addresses.items() if values[row] is not None},
                frozenset(channel for channel in CHANNELS if refused[channel][row]),
                place,
            )
        )
    return walkers
