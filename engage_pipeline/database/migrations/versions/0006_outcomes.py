"""Outcomes: an accepted request waits as `sent` until it is known what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

STATUSES = "'pending', 'sending', 'success', 'failed', 'skipped', 'unknown'"
OUTCOMES = (
    "'accepted', 'expired', 'delivered', 'opened', 'read', 'answered', 'no_answer', 'busy', 'voicemail', 'refused',"
    " 'failed', 'bounced', 'complained', 'opted_out'"
)


def upgrade() -> None:
    op.add_column(
        "flow_action_logs", sa.Column("outcome", sa.Text(), comment="the latest that is known of what became of it")
    )
    op.add_column(
        "flow_action_logs",
        sa.Column("outcome_at", sa.DateTime(timezone=True), comment="when that happened, by the provider's clock"),
    )
    op.add_column(
        "flow_action_logs",
        sa.Column("accepted_at", sa.DateTime(timezone=True), comment="when the provider took the request"),
    )
    op.add_column(
        "flow_action_logs",
        sa.Column("cost_cents", sa.Numeric(), comment="what the provider charged, in cents of US dollars"),
    )
    op.add_column("flow_action_logs", sa.Column("call_seconds", sa.Numeric(), comment="length of the conversation"))
    _check("outcome", f"outcome in ({OUTCOMES})")
    _replace_checks(
        status="'pending', 'sending', 'sent', 'success', 'failed', 'skipped', 'unknown'",
        open_status="'pending', 'sending', 'sent', 'unknown'",
    )
    op.create_index(
        "idx_action_logs_provider_message",
        "flow_action_logs",
        ["provider_message_id"],
        postgresql_where=sa.text("provider_message_id is not null"),
    )
    # Until here every outcome was one of the answer itself, kept in result_data.
    op.execute(
        "update flow_action_logs set outcome = result_data ->> 'outcome', outcome_at = completed_at,"
        " accepted_at = case when result_data ->> 'outcome' = 'accepted' then completed_at end,"
        " result_data = result_data - 'outcome' where result_data ? 'outcome'"
    )


def downgrade() -> None:
    op.execute(
        "update flow_action_logs set result_data = result_data || jsonb_build_object('outcome', outcome)"
        " where outcome is not null"
    )
    op.execute(
        "update flow_action_logs set status = 'success', completed_at = coalesce(completed_at, now()), due_at = null"
        " where status = 'sent'"
    )
    op.drop_index("idx_action_logs_provider_message", "flow_action_logs")
    _replace_checks(status=STATUSES, open_status="'pending', 'sending', 'unknown'")
    for column in ("call_seconds", "cost_cents", "accepted_at", "outcome_at", "outcome"):
        op.drop_column("flow_action_logs", column)


def _replace_checks(*, status: str, open_status: str) -> None:
    for name in ("status", "due_until_final"):
        op.drop_constraint(op.f(f"ck_flow_action_logs_{name}"), "flow_action_logs")
    _check("status", f"status in ({status})")
    _check("due_until_final", f"(status in ({open_status})) = (due_at is not null)")


def _check(name: str, condition: str) -> None:
    op.create_check_constraint(op.f(f"ck_flow_action_logs_{name}"), "flow_action_logs", condition)
