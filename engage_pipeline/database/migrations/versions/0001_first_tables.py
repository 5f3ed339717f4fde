"""The first tables: flows and their versions, intake, micro-batches, contacts, assignments, executions, action logs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


# "Do not contact" in one place: matching and the statement that marks an action sending both read contacts.is_dnc.
HAS_DNC_TAG = """
create function engage_has_dnc_tag(tags text[]) returns boolean
language sql immutable parallel safe
return exists (
    select 1 from unnest(tags) as tag where lower(btrim(tag)) in ('dnc', 'do not contact', 'do-not-contact')
)
"""

REFUSE_VERSION_CHANGE = """
create function engage_refuse_version_change() returns trigger
language plpgsql as $$
begin
    raise exception 'flow_versions is immutable: executions run from it; apply a new version instead';
end
$$
"""


def upgrade() -> None:
    op.execute(HAS_DNC_TAG)
    # Fencing numbers: a later lease always carries a higher one.
    op.execute("create sequence lease_tokens")
    op.create_table(
        "micro_batches",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("formed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("lapse_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('new_contacts', 'due_actions')", name=op.f("ck_micro_batches_kind")),
        sa.CheckConstraint("status in ('waiting', 'running', 'done', 'failed')", name=op.f("ck_micro_batches_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_micro_batches")),
    )
    op.create_index(
        "idx_micro_batches_open",
        "micro_batches",
        ["kind", "status"],
        unique=False,
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("default_phone_region", sa.Text(), server_default="US", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        comment="Tenants. Every other table's user_id points here.",
    )
    op.create_table(
        "auto_engagement_flows",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=True, comment="lower = higher priority; null only when deleted"),
        sa.Column("use_custom_business_hours", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("business_hours_start", sa.Time(), nullable=True),
        sa.Column("business_hours_end", sa.Time(), nullable=True),
        sa.Column("business_hours_timezone", sa.Text(), nullable=True),
        sa.Column("business_hours_overnight", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(deleted_at is null) = (priority is not null)",
            name=op.f("ck_auto_engagement_flows_priority_null_when_deleted"),
        ),
        sa.CheckConstraint(
            "not use_custom_business_hours or (business_hours_start is not null and business_hours_end is not null"
            " and business_hours_timezone is not null)",
            name=op.f("ck_auto_engagement_flows_business_hours_complete"),
        ),
        sa.CheckConstraint("priority >= 0", name=op.f("ck_auto_engagement_flows_priority_not_negative")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_auto_engagement_flows_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auto_engagement_flows")),
        sa.UniqueConstraint(
            "user_id",
            "priority",
            deferrable=True,
            initially="IMMEDIATE",
            name=op.f("uq_auto_engagement_flows_user_id_priority"),
        ),
    )
    op.create_index(
        "idx_flows_priority",
        "auto_engagement_flows",
        ["user_id", "priority"],
        unique=False,
        postgresql_where=sa.text("is_enabled"),
    )
    op.create_index("idx_flows_user_enabled", "auto_engagement_flows", ["user_id", "is_enabled"], unique=False)
    op.create_index(
        "uq_flows_user_name",
        "auto_engagement_flows",
        ["user_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at is null"),
    )
    op.create_table(
        "lead_uploads",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("inbox_path", sa.Text(), nullable=False, comment="relative to the inbox"),
        sa.Column("file_sha256", sa.Text(), nullable=True),
        sa.Column("file_bytes", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("rows_read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_inserted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_duplicate", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "format",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what was sniffed: encoding, delimiter, line end",
        ),
        sa.Column(
            "column_mapping",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="file column -> contact field or custom field",
        ),
        sa.Column("repeat_of", sa.Uuid(), nullable=True, comment="the upload that loaded the same bytes"),
        sa.Column("refusal_code", sa.Text(), nullable=True),
        sa.Column("refusal_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("lapse_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('waiting', 'running', 'loaded', 'refused', 'repeated', 'failed')",
            name=op.f("ck_lead_uploads_status"),
        ),
        sa.CheckConstraint(
            "rows_read = rows_inserted + rows_updated + rows_duplicate + rows_rejected",
            name=op.f("ck_lead_uploads_books_balance"),
        ),
        sa.ForeignKeyConstraint(["repeat_of"], ["lead_uploads.id"], name=op.f("fk_lead_uploads_repeat_of")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_lead_uploads_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_uploads")),
    )
    op.create_index(
        "idx_lead_uploads_open",
        "lead_uploads",
        ["status"],
        unique=False,
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.create_index("idx_lead_uploads_user_sha256", "lead_uploads", ["user_id", "file_sha256"], unique=False)
    op.create_index(
        "uq_lead_uploads_open_path",
        "lead_uploads",
        ["inbox_path"],
        unique=True,
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.create_table(
        "suppressions",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False, comment="phone_e164 or normalised e-mail"),
        sa.Column("source", sa.Text(), nullable=False, comment="where the wish was stated, e.g. the upload's column"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel in ('ai_call', 'whatsapp_message', 'email')", name=op.f("ck_suppressions_channel")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_suppressions_user_id")),
        sa.PrimaryKeyConstraint("user_id", "channel", "address", name=op.f("pk_suppressions")),
        comment="Addresses that said no to a channel. A later upload never lifts one.",
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("source_system", sa.Text(), nullable=True, comment="the system that external_id belongs to"),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("phone_e164", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True, comment="normalised, lower case"),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("lead_source", sa.Text(), nullable=True),
        sa.Column("entry_type", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column(
            "custom_fields",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("is_dnc", sa.Boolean(), sa.Computed("engage_has_dnc_tag(tags)", persisted=True), nullable=True),
        sa.Column("upload_id", sa.Uuid(), nullable=True, comment="the upload that created the contact"),
        sa.Column("micro_batch_id", sa.Uuid(), nullable=True, comment="null until a sensor tick picks it up"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["micro_batch_id"], ["micro_batches.id"], name=op.f("fk_contacts_micro_batch_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["lead_uploads.id"], name=op.f("fk_contacts_upload_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_contacts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
    )
    op.create_index(
        "idx_contacts_email",
        "contacts",
        ["user_id", "email"],
        unique=False,
        postgresql_where=sa.text("email is not null"),
    )
    op.create_index("idx_contacts_micro_batch", "contacts", ["micro_batch_id"], unique=False)
    op.create_index(
        "idx_contacts_phone",
        "contacts",
        ["user_id", "phone_e164"],
        unique=False,
        postgresql_where=sa.text("phone_e164 is not null"),
    )
    op.create_index(
        "idx_contacts_unbatched",
        "contacts",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("micro_batch_id is null"),
    )
    op.create_index(
        "uq_contacts_external",
        "contacts",
        ["user_id", "source_system", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id is not null"),
    )
    op.create_table(
        "flow_actions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("action_order", sa.Integer(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column(
            "action_config",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("execute_condition", sa.Text(), server_default="always", nullable=False),
        sa.CheckConstraint(
            "action_type in ('ai_call', 'whatsapp_message', 'email', 'wait')", name=op.f("ck_flow_actions_action_type")
        ),
        sa.CheckConstraint(
            "execute_condition in ('always', 'if_previous_success', 'if_previous_failed')",
            name=op.f("ck_flow_actions_execute_condition"),
        ),
        sa.CheckConstraint("action_order > 0", name=op.f("ck_flow_actions_action_order_positive")),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["auto_engagement_flows.id"], name=op.f("fk_flow_actions_flow_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_actions")),
        sa.UniqueConstraint("flow_id", "action_order", name=op.f("uq_flow_actions_flow_id_action_order")),
        comment="Actions of the flow's current version.",
    )
    op.create_index("idx_flow_actions_flow_order", "flow_actions", ["flow_id", "action_order"], unique=False)
    op.create_table(
        "flow_trigger_conditions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("condition_type", sa.Text(), nullable=False),
        sa.Column("condition_operator", sa.Text(), nullable=False),
        sa.Column("condition_value", sa.Text(), nullable=True),
        sa.Column("custom_field_name", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "condition_operator in ('equals', 'not_equals', 'contains', 'any')",
            name=op.f("ck_flow_trigger_conditions_condition_operator"),
        ),
        sa.CheckConstraint(
            "condition_type in ('lead_source', 'entry_type', 'custom_field')",
            name=op.f("ck_flow_trigger_conditions_condition_type"),
        ),
        sa.ForeignKeyConstraint(
            ["flow_id"],
            ["auto_engagement_flows.id"],
            name=op.f("fk_flow_trigger_conditions_flow_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_trigger_conditions")),
        comment="Conditions of the flow's current version; all must hold.",
    )
    op.create_index("idx_trigger_conditions_flow", "flow_trigger_conditions", ["flow_id"], unique=False)
    op.create_table(
        "flow_versions",
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["auto_engagement_flows.id"], name=op.f("fk_flow_versions_flow_id")),
        sa.PrimaryKeyConstraint("flow_id", "version", name=op.f("pk_flow_versions")),
        comment="What each version of a flow said. Rows never change: a trigger refuses it.",
    )
    op.create_table(
        "rejected_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column(
            "line_number", sa.Integer(), nullable=False, comment="physical line in the file on which the record begins"
        ),
        sa.Column("raw_row", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["lead_uploads.id"], name=op.f("fk_rejected_rows_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_rows")),
        comment="Quarantine: rows of a lead file that became no contact, and why.",
    )
    op.create_index("idx_rejected_rows_upload", "rejected_rows", ["upload_id", "line_number"], unique=False)
    op.create_table(
        "flow_assignments",
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("micro_batch_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=True),
        sa.Column("flow_version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "reason <> 'matched' or flow_id is not null", name=op.f("ck_flow_assignments_matched_has_flow")
        ),
        sa.CheckConstraint(
            "reason in ('matched', 'no_match', 'dnc', 'suppressed', 'unreachable')",
            name=op.f("ck_flow_assignments_reason"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_flow_assignments_contact_id")),
        sa.ForeignKeyConstraint(
            ["flow_id", "flow_version"],
            ["flow_versions.flow_id", "flow_versions.version"],
            name=op.f("fk_flow_assignments_flow_id_flow_version"),
        ),
        sa.ForeignKeyConstraint(
            ["micro_batch_id"], ["micro_batches.id"], name=op.f("fk_flow_assignments_micro_batch_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flow_assignments_user_id")),
        sa.PrimaryKeyConstraint("contact_id", "micro_batch_id", name=op.f("pk_flow_assignments")),
        comment="Which flow a contact got, or why none. One row a contact and batch, whatever is retried.",
    )
    op.create_index("idx_flow_assignments_batch", "flow_assignments", ["micro_batch_id"], unique=False)
    op.create_table(
        "flow_executions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("flow_version", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("micro_batch_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("triggered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_test_run", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "status in ('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped')",
            name=op.f("ck_flow_executions_status"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_flow_executions_contact_id")),
        sa.ForeignKeyConstraint(
            ["flow_id", "flow_version"],
            ["flow_versions.flow_id", "flow_versions.version"],
            name=op.f("fk_flow_executions_flow_id_flow_version"),
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["auto_engagement_flows.id"], name=op.f("fk_flow_executions_flow_id")),
        sa.ForeignKeyConstraint(
            ["micro_batch_id"], ["micro_batches.id"], name=op.f("fk_flow_executions_micro_batch_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flow_executions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_executions")),
        sa.UniqueConstraint("contact_id", "micro_batch_id", name=op.f("uq_flow_executions_contact_id_micro_batch_id")),
    )
    op.create_index("idx_executions_contact", "flow_executions", ["contact_id"], unique=False)
    op.create_index("idx_executions_flow", "flow_executions", ["flow_id"], unique=False)
    op.create_index(
        "idx_executions_triggered_at", "flow_executions", [sa.literal_column("triggered_at desc")], unique=False
    )
    op.create_index("idx_executions_user_status", "flow_executions", ["user_id", "status"], unique=False)
    op.create_table(
        "flow_action_logs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("execution_id", sa.Uuid(), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=True),
        sa.Column("action_order", sa.Integer(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the ledger looks at the log next; null once it is final",
        ),
        sa.Column("micro_batch_id", sa.Uuid(), nullable=True, comment="the open batch that holds the log"),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False, comment="sends begun"),
        sa.Column(
            "request",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what was handed to the provider, frozen with the intent",
        ),
        sa.Column("provider_message_id", sa.Text(), nullable=True),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "result_data",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(status = 'skipped') = (skip_reason is not null)", name=op.f("ck_flow_action_logs_skipped_has_reason")
        ),
        sa.CheckConstraint(
            "(status in ('pending', 'sending', 'unknown')) = (due_at is not null)",
            name=op.f("ck_flow_action_logs_due_until_final"),
        ),
        sa.CheckConstraint(
            "action_type in ('ai_call', 'whatsapp_message', 'email', 'wait')",
            name=op.f("ck_flow_action_logs_action_type"),
        ),
        sa.CheckConstraint(
            "status in ('pending', 'sending', 'success', 'failed', 'skipped', 'unknown')",
            name=op.f("ck_flow_action_logs_status"),
        ),
        sa.CheckConstraint("action_order > 0", name=op.f("ck_flow_action_logs_action_order_positive")),
        sa.ForeignKeyConstraint(
            ["action_id"], ["flow_actions.id"], name=op.f("fk_flow_action_logs_action_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["flow_executions.id"], name=op.f("fk_flow_action_logs_execution_id")
        ),
        sa.ForeignKeyConstraint(
            ["micro_batch_id"], ["micro_batches.id"], name=op.f("fk_flow_action_logs_micro_batch_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_action_logs")),
        sa.UniqueConstraint("execution_id", "action_order", name=op.f("uq_flow_action_logs_execution_id_action_order")),
    )
    op.create_index(
        "idx_action_logs_batch",
        "flow_action_logs",
        ["micro_batch_id", "action_type"],
        unique=False,
        postgresql_where=sa.text("micro_batch_id is not null"),
    )
    op.create_index(
        "idx_action_logs_due",
        "flow_action_logs",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at is not null and micro_batch_id is null"),
    )
    op.create_index("idx_action_logs_execution", "flow_action_logs", ["execution_id", "action_order"], unique=False)
    op.execute(REFUSE_VERSION_CHANGE)
    op.execute(
        "create trigger flow_versions_immutable before update or delete on flow_versions"
        " for each row execute function engage_refuse_version_change()"
    )


def downgrade() -> None:
    op.drop_index("idx_action_logs_execution", table_name="flow_action_logs")
    op.drop_index(
        "idx_action_logs_due",
        table_name="flow_action_logs",
        postgresql_where=sa.text("due_at is not null and micro_batch_id is null"),
    )
    op.drop_index(
        "idx_action_logs_batch", table_name="flow_action_logs", postgresql_where=sa.text("micro_batch_id is not null")
    )
    op.drop_table("flow_action_logs")
    op.drop_index("idx_executions_user_status", table_name="flow_executions")
    op.drop_index("idx_executions_triggered_at", table_name="flow_executions")
    op.drop_index("idx_executions_flow", table_name="flow_executions")
    op.drop_index("idx_executions_contact", table_name="flow_executions")
    op.drop_table("flow_executions")
    op.drop_index("idx_flow_assignments_batch", table_name="flow_assignments")
    op.drop_table("flow_assignments")
    op.drop_index("idx_rejected_rows_upload", table_name="rejected_rows")
    op.drop_table("rejected_rows")
    op.drop_table("flow_versions")
    op.drop_index("idx_trigger_conditions_flow", table_name="flow_trigger_conditions")
    op.drop_table("flow_trigger_conditions")
    op.drop_index("idx_flow_actions_flow_order", table_name="flow_actions")
    op.drop_table("flow_actions")
    op.drop_index("uq_contacts_external", table_name="contacts", postgresql_where=sa.text("external_id is not null"))
    op.drop_index("idx_contacts_unbatched", table_name="contacts", postgresql_where=sa.text("micro_batch_id is null"))
    op.drop_index("idx_contacts_phone", table_name="contacts", postgresql_where=sa.text("phone_e164 is not null"))
    op.drop_index("idx_contacts_micro_batch", table_name="contacts")
    op.drop_index("idx_contacts_email", table_name="contacts", postgresql_where=sa.text("email is not null"))
    op.drop_table("contacts")
    op.drop_table("suppressions")
    op.drop_index(
        "uq_lead_uploads_open_path",
        table_name="lead_uploads",
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.drop_index("idx_lead_uploads_user_sha256", table_name="lead_uploads")
    op.drop_index(
        "idx_lead_uploads_open", table_name="lead_uploads", postgresql_where=sa.text("status in ('waiting', 'running')")
    )
    op.drop_table("lead_uploads")
    op.drop_index(
        "uq_flows_user_name", table_name="auto_engagement_flows", postgresql_where=sa.text("deleted_at is null")
    )
    op.drop_index("idx_flows_user_enabled", table_name="auto_engagement_flows")
    op.drop_index("idx_flows_priority", table_name="auto_engagement_flows", postgresql_where=sa.text("is_enabled"))
    op.drop_table("auto_engagement_flows")
    op.drop_table("users")
    op.drop_index(
        "idx_micro_batches_open",
        table_name="micro_batches",
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.drop_table("micro_batches")
    op.execute("drop function engage_refuse_version_change()")
    op.execute("drop sequence lease_tokens")
    op.execute("drop function engage_has_dnc_tag(text[])")
