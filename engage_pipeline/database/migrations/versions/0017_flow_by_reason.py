"""An assignment carries a flow exactly when its reason says that one won."""

from alembic import op

revision = "0017"
down_revision = "0016"

_TABLE = "flow_assignments"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_flow_assignments_matched_has_flow"), _TABLE)
    op.create_check_constraint(
        op.f("ck_flow_assignments_flow_by_reason"),
        _TABLE,
        "(reason in ('matched', 'suppressed', 'unreachable')) = (flow_id is not null)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_flow_assignments_flow_by_reason"), _TABLE)
    op.create_check_constraint(
        op.f("ck_flow_assignments_matched_has_flow"), _TABLE, "reason <> 'matched' or flow_id is not null"
    )
