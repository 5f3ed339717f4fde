"""A claim reads only what it gives out: the due logs of a batch by tenant, and how many an account has in flight."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_LOGS = "flow_action_logs"
_IN_BATCH = sa.text("micro_batch_id is not null")
_IN_FLIGHT = sa.text("status in ('sending', 'sent')")


def upgrade() -> None:
    op.drop_index("idx_action_logs_batch", _LOGS)
    op.create_index(
        "idx_action_logs_batch",
        _LOGS,
        ["micro_batch_id", "action_type", "user_id", "due_at", "id"],
        postgresql_where=_IN_BATCH,
    )
    op.drop_index("idx_action_logs_in_flight", _LOGS)
    op.create_index("idx_action_logs_in_flight", _LOGS, ["user_id", "action_type"], postgresql_where=_IN_FLIGHT)
    # The unique constraint kept a second index on the same columns, and each new version of a row is written to both.
    op.drop_index("idx_action_logs_execution", _LOGS)
    op.create_index("idx_action_logs_execution", _LOGS, ["execution_id", "action_order"], unique=True)
    op.drop_constraint(op.f("uq_flow_action_logs_execution_id_action_order"), _LOGS)


def downgrade() -> None:
    op.create_unique_constraint(
        op.f("uq_flow_action_logs_execution_id_action_order"), _LOGS, ["execution_id", "action_order"]
    )
    op.drop_index("idx_action_logs_execution", _LOGS)
    op.create_index("idx_action_logs_execution", _LOGS, ["execution_id", "action_order"])
    op.drop_index("idx_action_logs_in_flight", _LOGS)
    op.create_index("idx_action_logs_in_flight", _LOGS, ["action_type", "execution_id"], postgresql_where=_IN_FLIGHT)
    op.drop_index("idx_action_logs_batch", _LOGS)
    op.create_index("idx_action_logs_batch", _LOGS, ["micro_batch_id", "action_type"], postgresql_where=_IN_BATCH)
