"""Templates that a provider refuses whoever they are for. Nothing with one is claimed until a person has mended it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engage_pipeline.database.connections import Connection


class StoppedTemplate(NamedTuple):
    """One stop. `template_id` is what actions call the template."""

    user_id: UUID
    channel: str
    template_id: str
    reason: str
    stopped_at: datetime


def stop_templates(connection: Connection, reasons: Mapping[UUID, str], *, now: datetime) -> int:
    """Stop the templates that these action logs were sent with. Returns how many were not stopped yet.

    Args:
        reasons: action log -> what must be mended.
    """
    if not reasons:
        return 0
    stopped = connection.execute(
        "insert into stopped_templates (user_id, channel, template_id, reason, stopped_at)"
        " select distinct on (logs.user_id, logs.action_type, logs.request ->> 'template_id')"
        " logs.user_id, logs.action_type, logs.request ->> 'template_id', given.reason, %s"
        " from unnest(%s::uuid[], %s::text[]) as given (action_log_id, reason)"
        " inner join flow_action_logs as logs on logs.id = given.action_log_id"
        " where logs.request ->> 'template_id' is not null"
        " order by logs.user_id, logs.action_type, logs.request ->> 'template_id' on conflict do nothing",
        [now, list(reasons), list(reasons.values())],
    )
    return stopped.rowcount


def stopped_for(connection: Connection, user_ids: Collection[UUID], channel: str) -> set[tuple[UUID, str]]:
    """(tenant, template_id) of the channel's stops, which stay until the transaction ends."""
    rows = connection.execute(
        "select user_id, template_id from stopped_templates where user_id = any(%s) and channel = %s"
        " order by user_id, template_id for share",
        [list(user_ids), channel],
    ).fetchall()
    return {(user_id, template_id) for user_id, template_id in rows}


def list_stopped(connection: Connection, user_id: UUID | None = None) -> list[StoppedTemplate]:
    """The stops of a tenant, or of all."""
    rows = connection.execute(
        "select user_id, channel, template_id, reason, stopped_at from stopped_templates"
        " where %(user_id)s::uuid is null or user_id = %(user_id)s order by user_id, channel, template_id",
        {"user_id": user_id},
    ).fetchall()
    return [StoppedTemplate(*row) for row in rows]


def resume_templates(
    connection: Connection, user_id: UUID, *, template_id: str | None = None, channel: str | None = None
) -> int:
    """Lift the stops of that name and channel; None is every one. What waited is due again. Returns how many."""
    lifted = connection.execute(
        "delete from stopped_templates where user_id = %(user_id)s"
        " and (%(template_id)s::text is null or template_id = %(template_id)s)"
        " and (%(channel)s::text is null or channel = %(channel)s)",
        {"user_id": user_id, "template_id": template_id, "channel": channel},
    )
    return lifted.rowcount
