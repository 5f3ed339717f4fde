"""What the hours of an action depend on, read from the ledger; and the flows that executions run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.execution.hours import Place
from engage_pipeline.execution.zones import contact_zones
from engage_pipeline.flows.hours import WeeklyHours
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import load_definitions

_DEFINITIONS: dict[tuple[UUID, int], Flow] = {}
_MOST_DEFINITIONS = 2000


def flows_of_executions(connection: Connection, keys: Collection[tuple[UUID, int]]) -> Mapping[tuple[UUID, int], Flow]:
    """(flow_id, version) -> what it said. The version of an execution never changes: a process reads it once."""
    known = {key: _DEFINITIONS[key] for key in keys if key in _DEFINITIONS}
    missing = set(keys) - known.keys()
    if missing:
        read = load_definitions(connection, missing)
        if len(_DEFINITIONS) + len(read) > _MOST_DEFINITIONS:
            _DEFINITIONS.clear()
        _DEFINITIONS.update(read)
        known.update(read)
    return known


@dataclass(frozen=True)
class TenantHours:
    """What of a tenant decides when its actions may be taken."""

    time_zone: str
    business_hours: WeeklyHours | None
    legal_hours: bool

    def place(self, known_zones: Sequence[str], phone_e164: str | None) -> Place:
        """The place of a contact of the tenant."""
        return Place(contact_zones(known_zones, phone_e164), self.time_zone, self.business_hours, self.legal_hours)


def hours_of_tenants(connection: Connection, user_ids: Collection[UUID]) -> dict[UUID, TenantHours]:
    """The hours of each tenant as they are now: they may change while executions are on their way."""
    rows = connection.execute(
        # Lifted legal hours hold for a tenant that reaches nobody real.
        "select id, time_zone, business_hours, legal_hours or exists (select 1 from channel_accounts as accounts"
        " where accounts.user_id = users.id and accounts.mode = 'live') from users where id = any(%s)",
        [list(user_ids)],
    ).fetchall()
    return {
        user_id: TenantHours(zone, None if hours is None else WeeklyHours.model_validate(hours), legal)
        for user_id, zone, hours, legal in rows
    }
