"""Forgetting people: when it was done, and an index to the hashes that the suppression list keeps of them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

PLAIN = "phone_e164 or normalised e-mail"
WITH_HASHES = "phone_e164, normalised e-mail, or a keyed hash of somebody forgotten"


def upgrade() -> None:
    op.add_column("contacts", sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "idx_suppressions_forgotten",
        "suppressions",
        ["user_id"],
        postgresql_where=sa.text("starts_with(address, 'hmac-sha256:')"),
    )
    op.alter_column("suppressions", "address", comment=WITH_HASHES, existing_comment=PLAIN, existing_type=sa.Text())


def downgrade() -> None:
    op.alter_column("suppressions", "address", comment=PLAIN, existing_comment=WITH_HASHES, existing_type=sa.Text())
    op.drop_index("idx_suppressions_forgotten", "suppressions")
    op.drop_column("contacts", "forgotten_at")
