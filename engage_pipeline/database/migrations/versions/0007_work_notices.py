"""Whoever waits for work is told of it: triggers that NOTIFY of contacts, due action logs, uploads and freed room."""

from alembic import op

revision = "0007"
down_revision = "0006"

_FUNCTIONS = (
    """
create function engage_notify() returns trigger
language plpgsql as $$
declare
    channel text;
begin
    foreach channel in array tg_argv loop
        perform pg_notify(channel, '');
    end loop;
    return null;
end
$$
""",
    """
create function engage_notify_of_logs() returns trigger
language plpgsql as $$
begin
    -- Logs of an open batch are sent by its run; nobody needs to be woken for them.
    if exists (select 1 from fresh where micro_batch_id is null and due_at is not null) then
        perform pg_notify('due_actions', '');
    end if;
    return null;
end
$$
""",
)

_TRIGGERS = {
    "contacts_arrived": (
        "contacts",
        "after insert on contacts for each statement execute function engage_notify('new_contacts')",
    ),
    "contacts_offered_again": (
        "contacts",
        "after update of micro_batch_id on contacts for each row"
        " when (new.micro_batch_id is null and old.micro_batch_id is not null)"
        " execute function engage_notify('new_contacts')",
    ),
    "action_logs_written": (
        "flow_action_logs",
        "after insert on flow_action_logs referencing new table as fresh for each statement"
        " execute function engage_notify_of_logs()",
    ),
    # A batch that ends makes room for another one and lets go of its logs; one to be tried again wants a run.
    "micro_batches_moved": (
        "micro_batches",
        "after update of status on micro_batches for each row when (new.status <> 'running')"
        " execute function engage_notify('new_contacts', 'due_actions')",
    ),
    "flows_enabled": (
        "auto_engagement_flows",
        "after update of is_enabled on auto_engagement_flows for each row when (new.is_enabled and not old.is_enabled)"
        " execute function engage_notify('due_actions')",
    ),
    "lead_uploads_waiting": (
        "lead_uploads",
        "after insert or update of status on lead_uploads for each row when (new.status = 'waiting')"
        " execute function engage_notify('lead_uploads')",
    ),
}


def upgrade() -> None:
    for function in _FUNCTIONS:
        op.execute(function)
    for name, (_, definition) in _TRIGGERS.items():
        op.execute(f"create trigger {name} {definition}")


def downgrade() -> None:
    for name, (table, _) in _TRIGGERS.items():
        op.execute(f"drop trigger {name} on {table}")
    op.execute("drop function engage_notify_of_logs()")
    op.execute("drop function engage_notify()")
