"""Channel accounts with their budgets, message templates, and the events that providers send by webhook."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

CHANNELS = "channel in ('ai_call', 'whatsapp_message', 'email')"


def upgrade() -> None:
    op.add_column(
        "flow_action_logs",
        sa.Column("outcome_asked_at", sa.DateTime(timezone=True), comment="when a poll last asked the provider"),
    )
    op.create_index(
        "idx_action_logs_sent",
        "flow_action_logs",
        ["accepted_at"],
        postgresql_where=sa.text("status = 'sent'"),
    )
    op.create_table(
        "channel_accounts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), server_default="sandbox", nullable=False),
        sa.Column(
            "credentials", sa.LargeBinary(), nullable=False, comment="JSON, encrypted with the installation's key"
        ),
        sa.Column(
            "settings",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="nothing secret",
        ),
        sa.Column("webhook_token_sha256", sa.Text(), nullable=False, comment="hex; the token is shown once"),
        sa.Column(
            "is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="new requests go by it"
        ),
        sa.Column("paused_reason", sa.Text(), comment="what must be mended before anything can be sent"),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(CHANNELS, name=op.f("ck_channel_accounts_channel")),
        sa.CheckConstraint("mode in ('sandbox', 'live')", name=op.f("ck_channel_accounts_mode")),
        sa.CheckConstraint(
            "(paused_at is null) = (paused_reason is null)", name=op.f("ck_channel_accounts_paused_has_reason")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_channel_accounts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_accounts")),
        sa.UniqueConstraint("webhook_token_sha256", name=op.f("uq_channel_accounts_webhook_token_sha256")),
        comment="A tenant's accounts with providers. One of each channel is active.",
    )
    op.create_index(
        "uq_channel_accounts_active",
        "channel_accounts",
        ["user_id", "channel"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_table(
        "channel_budgets",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("requests_per_second", sa.Numeric(), comment="null: no limit"),
        sa.Column("in_flight_cap", sa.Integer(), comment="accepted and not terminal, at the most; null: no limit"),
        sa.Column("daily_cap", sa.Integer(), comment="requests in one UTC day; null: no limit"),
        sa.Column(
            "allowance", sa.Numeric(), server_default="0", nullable=False, comment="requests that may be claimed now"
        ),
        sa.Column("allowance_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column(
            "pace", sa.Numeric(), server_default="1", nullable=False, comment="share of the rate, less after a 429"
        ),
        sa.Column("held_until", sa.DateTime(timezone=True), comment="the provider asked to wait until then"),
        sa.Column("day", sa.Date(), server_default=sa.text("current_date"), nullable=False),
        sa.Column("day_count", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("requests_per_second > 0", name=op.f("ck_channel_budgets_requests_per_second_positive")),
        sa.CheckConstraint("in_flight_cap > 0", name=op.f("ck_channel_budgets_in_flight_cap_positive")),
        sa.CheckConstraint("daily_cap > 0", name=op.f("ck_channel_budgets_daily_cap_positive")),
        sa.CheckConstraint("pace > 0 and pace <= 1", name=op.f("ck_channel_budgets_pace_is_a_share")),
        sa.ForeignKeyConstraint(["account_id"], ["channel_accounts.id"], name=op.f("fk_channel_budgets_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_channel_budgets")),
        comment="What an account may send; drawn by the statement that claims.",
    )
    op.create_table(
        "message_templates",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("defaults", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(CHANNELS, name=op.f("ck_message_templates_channel")),
        sa.CheckConstraint("version > 0", name=op.f("ck_message_templates_version_positive")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_message_templates_user_id")),
        sa.PrimaryKeyConstraint("user_id", "channel", "name", "version", name=op.f("pk_message_templates")),
        comment="What messages say, every version of it. The newest is used.",
    )
    op.create_table(
        "provider_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False, comment="the provider's id of the event"),
        sa.Column("body", sa.Text(), comment="JSON as it came; cleared some days after it was applied"),
        sa.Column(
            "delivery_count",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="how often the provider sent it",
        ),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            comment="when to apply it; null once applied",
        ),
        sa.Column("result", sa.Text()),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "result in ('applied', 'opted_out', 'nothing', 'unknown_id', 'other_tenant', 'unreadable', 'unconfirmed')",
            name=op.f("ck_provider_events_result"),
        ),
        sa.CheckConstraint(
            "(due_at is null) = (applied_at is not null)", name=op.f("ck_provider_events_due_until_applied")
        ),
        sa.CheckConstraint(
            "(applied_at is null) = (result is null)", name=op.f("ck_provider_events_applied_has_result")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["channel_accounts.id"], name=op.f("fk_provider_events_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_events")),
        sa.UniqueConstraint("account_id", "event_key", name=op.f("uq_provider_events_account_id_event_key")),
        comment="What providers told by webhook, verified and stored before anything is done with it.",
    )
    op.create_index(
        "idx_provider_events_due",
        "provider_events",
        ["due_at", "id"],
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_index(
        "idx_provider_events_applied",
        "provider_events",
        ["applied_at"],
        postgresql_where=sa.text("body is not null"),
    )


def downgrade() -> None:
    op.drop_table("provider_events")
    op.drop_table("message_templates")
    op.drop_table("channel_budgets")
    op.drop_table("channel_accounts")
    op.drop_index("idx_action_logs_sent", "flow_action_logs")
    op.drop_column("flow_action_logs", "outcome_asked_at")
