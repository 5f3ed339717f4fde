"""Row-level security: whoever is not the owner sees and writes the rows of the tenant that the transaction named."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

# Null outside a transaction that named a tenant, and null equals nobody. Simple enough to be inlined, so that an index
# on the tenant's column serves it.
TENANT = """
create function engage_tenant() returns uuid
language sql stable parallel safe
return nullif(current_setting('engage.tenant', true), '')::uuid
"""

OWN = "user_id = engage_tenant()"
OF_FLOW = (
    "exists (select from auto_engagement_flows as flows where flows.id = flow_id and flows.user_id = engage_tenant())"
)
OF_ACCOUNT = (
    "exists (select from channel_accounts as accounts"
    " where accounts.id = account_id and accounts.user_id = engage_tenant())"
)
OF_UPLOAD = (
    "exists (select from lead_uploads as uploads where uploads.id = upload_id and uploads.user_id = engage_tenant())"
)

ROWS_OF = {
    "users": "id = engage_tenant()",
    "auto_engagement_flows": OWN,
    "flow_versions": OF_FLOW,
    "flow_trigger_conditions": OF_FLOW,
    "flow_actions": OF_FLOW,
    "lead_uploads": OWN,
    "rejected_rows": OF_UPLOAD,
    "contacts": OWN,
    "suppressions": OWN,
    "channel_accounts": OWN,
    "channel_budgets": OF_ACCOUNT,
    "provider_events": OF_ACCOUNT,
    "message_templates": OWN,
    "flow_assignments": OWN,
    "flow_executions": OWN,
    "flow_action_logs": OWN,
    "pauses": OWN,
    "address_touches": OF_FLOW,
    "idempotency_keys": OWN,
}

# A batch may hold what belongs to several tenants; each of them sees that it is there.
OF_BATCH = (
    "exists (select from contacts where contacts.micro_batch_id = micro_batches.id"
    " and contacts.user_id = engage_tenant())"
    " or exists (select from flow_action_logs as logs where logs.micro_batch_id = micro_batches.id"
    " and logs.user_id = engage_tenant())"
)


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", postgresql.BYTEA(), nullable=False, comment="of method, path and body"),
        sa.Column("status", sa.Integer(), comment="of the answer; null while the request is under way"),
        sa.Column("headers", postgresql.JSONB()),
        sa.Column("body", postgresql.BYTEA()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id")),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
        comment="Answers of the API to requests with an Idempotency-Key, given again when the request is repeated.",
    )
    op.create_index("idx_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_index(
        "idx_executions_user_triggered_at",
        "flow_executions",
        ["user_id", sa.text("triggered_at desc"), sa.text("id desc")],
    )
    op.execute(TENANT)
    for table, is_own in ROWS_OF.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy own_rows on {table} using ({is_own}) with check ({is_own})")
    op.execute("alter table micro_batches enable row level security")
    op.execute(f"create policy batches_with_own_rows on micro_batches for select using ({OF_BATCH})")
    op.execute(f"create policy retried_batches on micro_batches for update using ({OF_BATCH}) with check (true)")
    op.execute("create policy test_runs on micro_batches for insert with check (kind = 'test_run')")
    op.execute("create policy brakes_for_all on pauses for select using (user_id is null)")
    op.execute("alter table deleted_rows enable row level security")
    op.execute("create policy noted_by_triggers on deleted_rows for insert with check (true)")


def downgrade() -> None:
    policies = {
        **dict.fromkeys(ROWS_OF, ("own_rows",)),
        "micro_batches": ("batches_with_own_rows", "retried_batches", "test_runs"),
        "pauses": ("own_rows", "brakes_for_all"),
        "deleted_rows": ("noted_by_triggers",),
    }
    for table, names in policies.items():
        for name in names:
            op.execute(f"drop policy {name} on {table}")
        op.execute(f"alter table {table} disable row level security")
    op.execute("drop function engage_tenant()")
    op.drop_index("idx_executions_user_triggered_at", "flow_executions")
    op.drop_table("idempotency_keys")
