"""Budgets as moments in time: what is promised says when an account is free again. And calls that were taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.drop_column("channel_budgets", "allowance")
    op.drop_column("channel_budgets", "allowance_at")
    op.add_column(
        "channel_budgets",
        sa.Column(
            "next_free_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
            comment="up to then every moment to send in is promised",
        ),
    )
    op.execute(
        "update channel_budgets set requests_per_second = 20000 where account_id in"
        " (select id from channel_accounts where mode = 'sandbox')"
    )
    op.add_column(
        "channel_budgets",
        sa.Column("stated_in_flight_cap", sa.Integer(), comment="what the provider itself says of the account"),
    )
    op.add_column(
        "flow_action_logs",
        sa.Column("stop_asked_at", sa.DateTime(timezone=True), comment="when the provider was asked to take it back"),
    )
    op.create_index(
        "idx_action_logs_in_flight",
        "flow_action_logs",
        ["action_type", "execution_id"],
        postgresql_where=sa.text("status in ('sending', 'sent')"),
    )
    op.execute(
        "update channel_budgets set in_flight_cap = null where account_id in"
        " (select id from channel_accounts where channel <> 'ai_call')"
    )


def downgrade() -> None:
    op.drop_index("idx_action_logs_in_flight", "flow_action_logs")
    op.drop_column("flow_action_logs", "stop_asked_at")
    op.drop_column("channel_budgets", "stated_in_flight_cap")
    op.drop_column("channel_budgets", "next_free_at")
    op.add_column(
        "channel_budgets",
        sa.Column(
            "allowance", sa.Numeric(), server_default="0", nullable=False, comment="requests that may be claimed now"
        ),
    )
    op.add_column(
        "channel_budgets",
        sa.Column("allowance_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
