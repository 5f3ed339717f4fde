"""Held uploads: a file with too many rejects waits for a person. Options of an upload; a policy for known contacts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

STATUSES = "'waiting', 'running', 'loaded', 'refused', 'repeated', 'failed'"

BOOKS = "rows_read = rows_inserted + rows_updated + rows_duplicate + rows_rejected"


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column(
            "reject_threshold",
            sa.Numeric(),
            server_default=sa.text("0.2"),
            nullable=False,
            comment="an upload with a greater share of rejected rows is held",
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "known_contacts",
            sa.Text(),
            server_default="update",
            nullable=False,
            comment="what an upload does with contacts that are known: update or leave them",
        ),
    )
    op.create_check_constraint(op.f("ck_users_known_contacts"), "users", "known_contacts in ('update', 'leave')")
    op.create_check_constraint(
        op.f("ck_users_reject_threshold_is_share"), "users", "reject_threshold >= 0 and reject_threshold <= 1"
    )
    op.add_column(
        "lead_uploads",
        sa.Column(
            "options",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="what was asked for beside the file: see UploadOptions",
        ),
    )
    op.add_column(
        "lead_uploads", sa.Column("rows_seen", sa.Integer(), nullable=True, comment="progress of the run that loads it")
    )
    op.add_column(
        "lead_uploads",
        sa.Column(
            "rows_held", sa.Integer(), server_default="0", nullable=False, comment="usable rows of a held upload"
        ),
    )
    op.drop_constraint(op.f("ck_lead_uploads_books_balance"), "lead_uploads")
    op.create_check_constraint(op.f("ck_lead_uploads_books_balance"), "lead_uploads", f"{BOOKS} + rows_held")
    _allow(f"{STATUSES}, 'held', 'discarded'")


def downgrade() -> None:
    op.execute("delete from rejected_rows using lead_uploads where upload_id = lead_uploads.id and rows_held > 0")
    op.execute("update lead_uploads set rows_read = 0, rows_rejected = 0 where rows_held > 0")
    op.execute("update lead_uploads set status = 'failed' where status in ('held', 'discarded')")
    _allow(STATUSES)
    op.drop_constraint(op.f("ck_lead_uploads_books_balance"), "lead_uploads")
    op.drop_column("lead_uploads", "rows_held")
    op.create_check_constraint(op.f("ck_lead_uploads_books_balance"), "lead_uploads", BOOKS)
    op.drop_column("lead_uploads", "rows_seen")
    op.drop_column("lead_uploads", "options")
    op.drop_constraint(op.f("ck_users_reject_threshold_is_share"), "users")
    op.drop_constraint(op.f("ck_users_known_contacts"), "users")
    op.drop_column("users", "known_contacts")
    op.drop_column("users", "reject_threshold")


def _allow(statuses: str) -> None:
    op.drop_constraint(op.f("ck_lead_uploads_status"), "lead_uploads")
    op.create_check_constraint(op.f("ck_lead_uploads_status"), "lead_uploads", f"status in ({statuses})")
