"""Trigger conditions form a tree of groups; more condition types and operators."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TABLE = "flow_trigger_conditions"
_FIRST_TYPES = "condition_type in ('lead_source', 'entry_type', 'custom_field')"
_FIRST_OPERATORS = "condition_operator in ('equals', 'not_equals', 'contains', 'any')"


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("parent_id", sa.Uuid(), nullable=True, comment="the group it is in"))
    op.add_column(
        _TABLE, sa.Column("position", sa.Integer(), nullable=True, comment="from 0, within the group or at the top")
    )
    op.add_column(
        _TABLE, sa.Column("group_kind", sa.Text(), nullable=True, comment="set for a group, null for a condition")
    )
    # The ids are in the order in which the conditions were written.
    op.execute(
        "update flow_trigger_conditions as conditions set position = numbered.position"
        " from (select id, row_number() over (partition by flow_id order by id) - 1 as position"
        " from flow_trigger_conditions) as numbered where numbered.id = conditions.id"
    )
    op.alter_column(_TABLE, "position", nullable=False)
    op.alter_column(_TABLE, "condition_type", nullable=True)
    op.alter_column(_TABLE, "condition_operator", nullable=True)
    op.alter_column(_TABLE, "condition_value", comment="a list is written as JSON", existing_comment=None)
    op.create_foreign_key(
        op.f("fk_flow_trigger_conditions_parent_id"), _TABLE, _TABLE, ["parent_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("idx_trigger_conditions_parent", _TABLE, ["parent_id"])
    op.drop_constraint(op.f("ck_flow_trigger_conditions_condition_type"), _TABLE)
    op.drop_constraint(op.f("ck_flow_trigger_conditions_condition_operator"), _TABLE)
    op.create_check_constraint(
        op.f("ck_flow_trigger_conditions_condition_type"),
        _TABLE,
        "condition_type in ('lead_source', 'entry_type', 'custom_field', 'tag', 'email_domain', 'phone_country',"
        " 'created_at')",
    )
    op.create_check_constraint(
        op.f("ck_flow_trigger_conditions_condition_operator"),
        _TABLE,
        "condition_operator in ('equals', 'not_equals', 'contains', 'any', 'in', 'not_in', 'starts_with', 'ends_with',"
        " 'matches', 'gt', 'gte', 'lt', 'lte', 'between', 'before', 'after', 'within_last', 'is_set', 'is_not_set')",
    )
    op.create_check_constraint(
        op.f("ck_flow_trigger_conditions_group_kind"), _TABLE, "group_kind in ('all', 'any', 'none')"
    )
    op.create_check_constraint(op.f("ck_flow_trigger_conditions_position_not_negative"), _TABLE, "position >= 0")
    op.create_check_constraint(
        op.f("ck_flow_trigger_conditions_group_or_condition"),
        _TABLE,
        "(group_kind is null) = (condition_type is not null)"
        " and (group_kind is null) = (condition_operator is not null)"
        " and (group_kind is null or condition_value is null)",
    )
    op.create_check_constraint(
        op.f("ck_flow_trigger_conditions_custom_field_is_named"),
        _TABLE,
        "(custom_field_name is not null) = (condition_type is not distinct from 'custom_field')",
    )
    op.create_table_comment(
        _TABLE,
        "Conditions and groups of the flow's current version; all at the top must hold.",
        existing_comment="Conditions of the flow's current version; all must hold.",
    )


def downgrade() -> None:
    # What the older tables cannot say goes; flow_versions, from which flows run, still has it.
    op.execute(
        "delete from flow_trigger_conditions where group_kind is not null or parent_id is not null"
        " or condition_type not in ('lead_source', 'entry_type', 'custom_field')"
        " or condition_operator not in ('equals', 'not_equals', 'contains', 'any')"
    )
    for name in (
        "custom_field_is_named",
        "group_or_condition",
        "position_not_negative",
        "group_kind",
        "condition_type",
        "condition_operator",
    ):
        op.drop_constraint(op.f(f"ck_flow_trigger_conditions_{name}"), _TABLE)
    op.create_check_constraint(op.f("ck_flow_trigger_conditions_condition_type"), _TABLE, _FIRST_TYPES)
    op.create_check_constraint(op.f("ck_flow_trigger_conditions_condition_operator"), _TABLE, _FIRST_OPERATORS)
    op.drop_index("idx_trigger_conditions_parent", table_name=_TABLE)
    op.drop_constraint(op.f("fk_flow_trigger_conditions_parent_id"), _TABLE, type_="foreignkey")
    op.alter_column(_TABLE, "condition_value", comment=None, existing_comment="a list is written as JSON")
    op.alter_column(_TABLE, "condition_operator", nullable=False)
    op.alter_column(_TABLE, "condition_type", nullable=False)
    op.drop_column(_TABLE, "group_kind")
    op.drop_column(_TABLE, "position")
    op.drop_column(_TABLE, "parent_id")
    op.create_table_comment(
        _TABLE,
        "Conditions of the flow's current version; all must hold.",
        existing_comment="Conditions and groups of the flow's current version; all at the top must hold.",
    )
