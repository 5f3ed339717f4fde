"""Templates that their provider refuses whoever they are for: what would use one is parked until it is mended."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

UNPARK = """
create function engage_unpark_logs_of_template() returns trigger
language plpgsql as $$
begin
    update flow_action_logs
    set is_parked = false
    where is_parked and user_id = old.user_id and action_type = old.channel;
    perform pg_notify('due_actions', '');
    return null;
end
$$
"""

UNPARK_AFTER_DELETE = """
create trigger unpark_logs_of_template after delete on stopped_templates
    for each row execute function engage_unpark_logs_of_template()
"""


def upgrade() -> None:
    op.create_table(
        "stopped_templates",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False, comment="as actions name it"),
        sa.Column("reason", sa.Text(), nullable=False, comment="what must be mended before it can be sent"),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "channel in ('ai_call', 'whatsapp_message', 'email')", name=op.f("ck_stopped_templates_channel")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stopped_templates_user_id")),
        sa.PrimaryKeyConstraint("user_id", "channel", "template_id", name=op.f("pk_stopped_templates")),
        comment="Templates that their provider refuses whoever they are for; nothing with them begins to be sent.",
    )
    op.execute(UNPARK)
    op.execute(UNPARK_AFTER_DELETE)
    op.execute("alter table stopped_templates enable row level security")
    op.execute(
        "create policy own_rows on stopped_templates"
        " using (user_id = engage_tenant()) with check (user_id = engage_tenant())"
    )


def downgrade() -> None:
    op.drop_table("stopped_templates")
    op.execute("drop function engage_unpark_logs_of_template()")
