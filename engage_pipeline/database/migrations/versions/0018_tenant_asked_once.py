"""Row-level security asks for the tenant once for each statement, and no longer for each row that it passes over."""

from alembic import op

revision = "0018"
down_revision = "0017"

_ONCE, _EACH_ROW = "(select engage_tenant())", "engage_tenant()"

OWN = (
    "auto_engagement_flows",
    "lead_uploads",
    "contacts",
    "suppressions",
    "channel_accounts",
    "message_templates",
    "flow_assignments",
    "flow_executions",
    "flow_action_logs",
    "pauses",
    "idempotency_keys",
)


def upgrade() -> None:
    _ask(_ONCE)


def downgrade() -> None:
    _ask(_EACH_ROW)


def _ask(tenant: str) -> None:
    for table in OWN:
        op.execute(f"alter policy own_rows on {table} using (user_id = {tenant}) with check (user_id = {tenant})")
    op.execute(f"alter policy own_rows on users using (id = {tenant}) with check (id = {tenant})")
