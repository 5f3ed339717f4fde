"""Where a contact may be: the time zones of its phone number or country."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column(
        "contacts",
        sa.Column(
            "time_zones",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
            comment="where the contact may be, by its number or country; empty when nobody knows",
        ),
    )


def downgrade() -> None:
    op.drop_column("contacts", "time_zones")
