"""The rules of execution: states held by triggers, outcome conditions, hours, pauses, one touch an address."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

OUTCOMES = (
    "'accepted', 'expired', 'delivered', 'opened', 'read', 'answered', 'no_answer', 'busy', 'voicemail', 'refused',"
    " 'failed', 'bounced', 'complained', 'opted_out'"
)

REFUSE_TRANSITION = """
create function engage_refuse_transition() returns trigger
language plpgsql as $$
begin
    raise exception 'a row of % may not go from % to %', tg_table_name, old.status, new.status
        using errcode = 'check_violation';
end
$$
"""

LOG_TRANSITIONS = """
create trigger flow_action_logs_transitions before update of status on flow_action_logs
    for each row when (old.status <> new.status and not coalesce(
        (old.status = 'pending' and new.status = 'sending')
        or (old.status = 'pending' and new.status = 'skipped')
        or (old.status = 'pending' and new.status = 'success' and old.action_type = 'wait')
        or (old.status = 'sending' and new.status = 'sent')
        or (old.status = 'sending' and new.status = 'success')
        or (old.status = 'sending' and new.status = 'failed')
        or (old.status = 'sending' and new.status = 'pending')
        or (old.status = 'sending' and new.status = 'skipped')
        or (old.status = 'sending' and new.status = 'unknown')
        or (old.status = 'sent' and new.status = 'success')
        or (old.status = 'sent' and new.status = 'failed')
        or (old.status = 'unknown' and new.status = 'sent')
        or (old.status = 'unknown' and new.status = 'success')
        or (old.status = 'unknown' and new.status = 'failed')
        or (old.status = 'failed' and new.status = 'success' and old.outcome = 'expired'), false))
    execute function engage_refuse_transition()
"""

EXECUTION_TRANSITIONS = """
create trigger flow_executions_transitions before update of status on flow_executions
    for each row when (old.status <> new.status and not coalesce(
        (old.status = 'pending' and new.status = 'running')
        or (old.status = 'pending' and new.status = 'skipped')
        or (old.status = 'pending' and new.status = 'cancelled')
        or (old.status = 'running' and new.status = 'completed')
        or (old.status = 'running' and new.status = 'failed')
        or (old.status = 'running' and new.status = 'skipped')
        or (old.status = 'running' and new.status = 'cancelled'), false))
    execute function engage_refuse_transition()
"""

UNPARK = (
    """
create function engage_unpark_logs_of_flow() returns trigger
language plpgsql as $$
begin
    update flow_action_logs as logs
    set is_parked = false
    from flow_executions as executions
    where logs.is_parked and logs.execution_id = executions.id and executions.flow_id = new.id;
    return null;
end
$$
""",
    """
create function engage_unpark_logs_of_pause() returns trigger
language plpgsql as $$
begin
    update flow_action_logs
    set is_parked = false
    where
        is_parked
        and (old.user_id is null or user_id = old.user_id)
        and (old.channel is null or action_type = old.channel);
    perform pg_notify('due_actions', '');
    return null;
end
$$
""",
    """
create trigger unpark_logs_of_flow after update of is_enabled on auto_engagement_flows
    for each row when (new.is_enabled and not old.is_enabled)
    execute function engage_unpark_logs_of_flow()
""",
    """
create trigger unpark_logs_of_pause after delete on pauses
    for each row execute function engage_unpark_logs_of_pause()
""",
)

LANE = "coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid)"


def upgrade() -> None:
    _users_and_flows()
    _logs()
    _new_tables()
    _replace_check("micro_batches", "kind", "kind in ('new_contacts', 'due_actions', 'test_run')")
    op.drop_index("idx_contacts_unbatched", "contacts")
    op.create_index(
        "idx_contacts_unbatched",
        "contacts",
        ["user_id", sa.text(LANE), "updated_at", "id"],
        postgresql_where=sa.text("micro_batch_id is null"),
    )
    for statement in (REFUSE_TRANSITION, LOG_TRANSITIONS, EXECUTION_TRANSITIONS, *UNPARK):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop trigger unpark_logs_of_flow on auto_engagement_flows")
    op.execute("drop trigger flow_executions_transitions on flow_executions")
    op.execute("drop trigger flow_action_logs_transitions on flow_action_logs")
    for table in ("address_touches", "pauses"):
        op.drop_table(table)
    for function in ("engage_unpark_logs_of_flow", "engage_unpark_logs_of_pause", "engage_refuse_transition"):
        op.execute(f"drop function {function}()")
    op.drop_index("idx_contacts_unbatched", "contacts")
    op.create_index(
        "idx_contacts_unbatched", "contacts", ["updated_at", "id"], postgresql_where=sa.text("micro_batch_id is null")
    )
    op.execute("update micro_batches set kind = 'due_actions' where kind = 'test_run'")
    _replace_check("micro_batches", "kind", "kind in ('new_contacts', 'due_actions')")
    op.drop_index("idx_action_logs_parked", "flow_action_logs")
    op.drop_index("idx_action_logs_due", "flow_action_logs")
    op.create_index(
        "idx_action_logs_due",
        "flow_action_logs",
        ["due_at"],
        postgresql_where=sa.text("due_at is not null and micro_batch_id is null"),
    )
    op.drop_constraint(op.f("ck_flow_action_logs_parked_is_pending"), "flow_action_logs")
    for column in ("is_parked", "awaits_reading", "outcome_timeout_minutes", "attempts", "user_id"):
        op.drop_column("flow_action_logs", column)
    # The older code knows no condition on outcomes; the versions keep what they said.
    for name in ("if_previous_outcome", "outcome_timeout_minutes_positive"):
        op.drop_constraint(op.f(f"ck_flow_actions_{name}"), "flow_actions")
    op.execute(
        "update flow_actions set execute_condition = 'if_previous_failed'"
        " where execute_condition = 'if_previous_outcome'"
    )
    _replace_check(
        "flow_actions",
        "execute_condition",
        "execute_condition in ('always', 'if_previous_success', 'if_previous_failed')",
    )
    for column in ("outcome_timeout_minutes", "if_previous_outcome"):
        op.drop_column("flow_actions", column)
    op.execute("update auto_engagement_flows set use_custom_business_hours = false where business_hours is not null")
    _replace_check(
        "auto_engagement_flows",
        "business_hours_complete",
        "not use_custom_business_hours or (business_hours_start is not null and business_hours_end is not null"
        " and business_hours_timezone is not null)",
    )
    for name in ("expires_after_minutes_positive", "outside_business_hours"):
        op.drop_constraint(op.f(f"ck_auto_engagement_flows_{name}"), "auto_engagement_flows")
    for column in ("expires_after_minutes", "outside_business_hours", "business_hours"):
        op.drop_column("auto_engagement_flows", column)
    for column in ("legal_hours", "business_hours"):
        op.drop_column("users", column)


def _users_and_flows() -> None:
    hours = "hours of flows that have none of their own; null: any time"
    op.add_column("users", sa.Column("business_hours", postgresql.JSONB(), comment=hours))
    op.add_column(
        "users",
        sa.Column(
            "legal_hours",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="false lifts the legal calling hours, for as long as the tenant has no live account",
        ),
    )
    windows = "several windows, weekdays and holidays, in place of start and end"
    op.add_column("auto_engagement_flows", sa.Column("business_hours", postgresql.JSONB(), comment=windows))
    op.add_column(
        "auto_engagement_flows",
        sa.Column("outside_business_hours", sa.Text(), server_default="defer", nullable=False),
    )
    late = "an action so late is skipped; null: never too late"
    op.add_column("auto_engagement_flows", sa.Column("expires_after_minutes", sa.Integer(), comment=late))
    # What a flow file that says nothing means, in the columns as in the versions.
    op.execute("update auto_engagement_flows set expires_after_minutes = 10080")
    _check("auto_engagement_flows", "expires_after_minutes_positive", "expires_after_minutes > 0")
    _check("auto_engagement_flows", "outside_business_hours", "outside_business_hours in ('defer', 'skip')")
    _replace_check(
        "auto_engagement_flows",
        "business_hours_complete",
        "not use_custom_business_hours or business_hours is not null or (business_hours_start is not null"
        " and business_hours_end is not null and business_hours_timezone is not null)",
    )
    wanted = "the outcomes that it wants, one of which must have come"
    op.add_column("flow_actions", sa.Column("if_previous_outcome", sa.ARRAY(sa.Text()), comment=wanted))
    op.add_column("flow_actions", sa.Column("outcome_timeout_minutes", sa.Integer(), comment="null: the channel's own"))
    _check("flow_actions", "outcome_timeout_minutes_positive", "outcome_timeout_minutes > 0")
    _check(
        "flow_actions",
        "if_previous_outcome",
        "(execute_condition = 'if_previous_outcome') = (if_previous_outcome is not null)"
        f" and if_previous_outcome <@ array[{OUTCOMES}] and cardinality(if_previous_outcome) > 0",
    )
    _replace_check(
        "flow_actions",
        "execute_condition",
        "execute_condition in ('always', 'if_previous_success', 'if_previous_failed', 'if_previous_outcome')",
    )


def _logs() -> None:
    table = "flow_action_logs"
    op.add_column(table, sa.Column("user_id", sa.Uuid(), comment="the execution's, for fair batches"))
    op.execute(
        "update flow_action_logs as logs set user_id = executions.user_id from flow_executions as executions"
        " where executions.id = logs.execution_id"
    )
    op.alter_column(table, "user_id", nullable=False)
    op.add_column(
        table,
        sa.Column(
            "attempts",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="what was answered to each send and look-up, in order",
        ),
    )
    op.add_column(
        table,
        sa.Column(
            "outcome_timeout_minutes", sa.Integer(), comment="how long an accepted request waits for its outcome"
        ),
    )
    # What is on its way already waits for as long as its channel did.
    op.execute(
        "update flow_action_logs set outcome_timeout_minutes = case action_type when 'ai_call' then 120 else 1440 end"
        " where action_type <> 'wait'"
    )
    for name, comment in (
        ("awaits_reading", "a later action depends on whether it is read, so delivered does not end it"),
        ("is_parked", "due, and nobody may send it: out of the due index until the flow is enabled or the pause ends"),
    ):
        op.add_column(
            table, sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False, comment=comment)
        )
    _check(table, "parked_is_pending", "not is_parked or status = 'pending'")
    op.drop_index("idx_action_logs_due", table)
    op.create_index(
        "idx_action_logs_due",
        table,
        ["user_id", "due_at", "id"],
        postgresql_where=sa.text("due_at is not null and micro_batch_id is null and not is_parked"),
    )
    op.create_index("idx_action_logs_parked", table, ["execution_id"], postgresql_where=sa.text("is_parked"))


def _new_tables() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), comment="null: every tenant"),
        sa.Column("channel", sa.Text(), comment="null: every channel"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel in ('ai_call', 'whatsapp_message', 'email')", name=op.f("ck_pauses_channel")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_pauses_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
        sa.UniqueConstraint(
            "user_id", "channel", name=op.f("uq_pauses_user_id_channel"), postgresql_nulls_not_distinct=True
        ),
        comment="The emergency brake: while a row is here, nothing it covers begins to be sent.",
    )
    op.create_table(
        "address_touches",
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("action_order", sa.Integer(), nullable=False),
        sa.Column("address_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("action_log_id", sa.Uuid(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "held_until", sa.DateTime(timezone=True), nullable=False, comment="when another contact may get it there"
        ),
        sa.PrimaryKeyConstraint("flow_id", "action_order", "address_sha256", name=op.f("pk_address_touches")),
        comment="Which contact an address got an action of a flow for, and when; two contacts may share an address.",
    )


def _check(table: str, name: str, condition: str) -> None:
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _replace_check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    _check(table, name, condition)
