"""Known contacts may enter a flow again: how long after, and the reasons why they do not."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_REASON = "ck_flow_assignments_reason"
_FIRST_REASONS = "reason in ('matched', 'no_match', 'dnc', 'suppressed', 'unreachable')"


def upgrade() -> None:
    op.add_column(
        "auto_engagement_flows",
        sa.Column(
            "reentry_after_days",
            sa.Integer(),
            nullable=True,
            comment="how long after it entered a contact may enter again; null: it may not",
        ),
    )
    op.create_check_constraint(
        op.f("ck_auto_engagement_flows_reentry_after_days_positive"), "auto_engagement_flows", "reentry_after_days > 0"
    )
    op.drop_constraint(op.f(_REASON), "flow_assignments")
    op.create_check_constraint(
        op.f(_REASON),
        "flow_assignments",
        "reason in ('matched', 'no_match', 'dnc', 'suppressed', 'unreachable', 'already_engaged', 'reentry_blocked')",
    )
    _replace_index("updated_at")


def downgrade() -> None:
    _replace_index("created_at")
    op.execute("update flow_assignments set reason = 'no_match' where reason in ('already_engaged', 'reentry_blocked')")
    op.drop_constraint(op.f(_REASON), "flow_assignments")
    op.create_check_constraint(op.f(_REASON), "flow_assignments", _FIRST_REASONS)
    op.drop_constraint(op.f("ck_auto_engagement_flows_reentry_after_days_positive"), "auto_engagement_flows")
    op.drop_column("auto_engagement_flows", "reentry_after_days")


def _replace_index(first_column: str) -> None:
    op.drop_index("idx_contacts_unbatched", "contacts")
    op.create_index(
        "idx_contacts_unbatched",
        "contacts",
        [first_column, "id"],
        postgresql_where=sa.text("micro_batch_id is null"),
    )
