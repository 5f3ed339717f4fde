"""As 0018, for the stopped templates: the tenant is asked for once for each statement."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    _ask("(select engage_tenant())")


def downgrade() -> None:
    _ask("engage_tenant()")


def _ask(tenant: str) -> None:
    op.execute(f"alter policy own_rows on stopped_templates using (user_id = {tenant}) with check (user_id = {tenant})")
