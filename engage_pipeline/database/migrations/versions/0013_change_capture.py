"""Change capture for the warehouse: which transaction wrote a row last, and which rows are gone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"


class Xid8(sa.types.UserDefinedType[int]):
    """PostgreSQL's number of a transaction, which never wraps around."""

    def get_col_spec(self, **_options: object) -> str:
        """The name of the type."""
        return "xid8"


KEYS = {
    "lead_uploads": "'id'",
    "rejected_rows": "'id'",
    "contacts": "'id'",
    "flow_assignments": "'contact_id', 'micro_batch_id'",
    "flow_executions": "'id'",
    "flow_action_logs": "'id'",
}

# A sequence or a clock is read before its transaction commits, so whoever reads up to the latest value misses the rows
# of those that commit later. The transaction's own number, held against a snapshot, says for certain what was seen.
NOTE_CHANGE = """
create function engage_note_change() returns trigger
language plpgsql as $$
begin
    new.changed_in = pg_current_xact_id();
    return new;
end
$$
"""

NOTE_DELETED_ROWS = """
create function engage_note_deleted_rows() returns trigger
language plpgsql as $$
begin
    insert into deleted_rows (table_name, row_key)
    select
        tg_table_name,
        (select jsonb_object_agg(key, to_jsonb(gone) -> key) from unnest(tg_argv) as keys (key))
    from gone;
    return null;
end
$$
"""

NOTE_TRUNCATED_TABLE = """
create function engage_note_truncated_table() returns trigger
language plpgsql as $$
begin
    insert into deleted_rows (table_name) values (tg_table_name);
    return null;
end
$$
"""


def upgrade() -> None:
    op.create_table(
        "deleted_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column(
            "row_key",
            postgresql.JSONB(),
            comment="the primary key of the row that is gone; null: the whole table was emptied",
        ),
        sa.Column("changed_in", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_rows")),
        comment="Rows that were deleted from the tables that the warehouse reads, by triggers.",
    )
    op.create_index("idx_deleted_rows_changed_in", "deleted_rows", ["changed_in"])
    op.execute(NOTE_CHANGE)
    op.execute(NOTE_DELETED_ROWS)
    op.execute(NOTE_TRUNCATED_TABLE)
    for table, key in KEYS.items():
        op.add_column(
            table,
            sa.Column(
                "changed_in",
                Xid8(),
                server_default=sa.text("pg_current_xact_id()"),
                nullable=False,
                comment="the transaction that wrote the row last",
            ),
        )
        op.create_index(f"idx_{table}_changed_in", table, ["changed_in"])
        op.execute(
            f"create trigger note_change before insert or update on {table}"
            " for each row execute function engage_note_change()"
        )
        op.execute(
            f"create trigger note_deleted_rows after delete on {table} referencing old table as gone"
            f" for each statement execute function engage_note_deleted_rows({key})"
        )
        op.execute(
            f"create trigger note_truncated_table after truncate on {table}"
            " for each statement execute function engage_note_truncated_table()"
        )


def downgrade() -> None:
    for table in KEYS:
        for trigger in ("note_change", "note_deleted_rows", "note_truncated_table"):
            op.execute(f"drop trigger {trigger} on {table}")
        op.drop_index(f"idx_{table}_changed_in", table)
        op.drop_column(table, "changed_in")
    for function in ("engage_note_change", "engage_note_deleted_rows", "engage_note_truncated_table"):
        op.execute(f"drop function {function}()")
    op.drop_table("deleted_rows")
