"""The operational tables as SQLAlchemy Core describes them; Alembic migrations compare against this.

Names the client gave keep their spelling. Nothing cascades into executions or action logs: history survives an edited
or deleted flow. Instants are `timestamptz`, money and durations carry their unit in the name.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from engage_pipeline.database.vocabulary import (
    ACCOUNT_MODES,
    ACTION_LOG_STATUSES,
    ACTION_TYPES,
    ASSIGNMENT_REASONS,
    BATCH_KINDS,
    BATCH_STATUSES,
    CHANNELS,
    CONDITION_GROUPS,
    CONDITION_OPERATORS,
    CONDITION_TYPES,
    EVENT_RESULTS,
    EXECUTE_CONDITIONS,
    EXECUTION_STATUSES,
    KNOWN_CONTACTS,
    OPEN_LOG_STATUSES,
    OUTCOMES,
    OUTSIDE_BUSINESS_HOURS,
    UPLOAD_STATUSES,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    }
)


class Xid8(UserDefinedType[int]):
    """PostgreSQL's number of a transaction, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """The name of the type."""
        return "xid8"


def _one_of(column: str, allowed: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in allowed)
    return CheckConstraint(f"{column} in ({listed})", name=column)


def _id() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, server_default=text("uuidv7()"))


def _instant(name: str, *, required: bool = False, now: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=not required, server_default=func.now() if now else None)


def _lease() -> list[Column[Any]]:
    """The columns that `database.leases` keeps: which attempt may run, who runs it, and until when it is believed."""
    return [
        Column("attempt", Integer, nullable=False, server_default="1"),
        Column("lapse_count", Integer, nullable=False, server_default="0"),
        _instant("attempt_requested_at", required=True, now=True),
        Column("lease_token", BigInteger),
        _instant("lease_expires_at"),
    ]


def _changed_in() -> Column[Any]:
    """Kept by triggers, for the warehouse; see the migration 0013."""
    return Column(
        "changed_in",
        Xid8,
        nullable=False,
        server_default=text("pg_current_xact_id()"),
        comment="the transaction that wrote the row last",
    )


users = Table(
    "users",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("default_phone_region", Text, nullable=False, server_default="US"),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("business_hours", JSONB, comment="hours of flows that have none of their own; null: any time"),
    Column(
        "legal_hours",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="false lifts the legal calling hours, for as long as the tenant has no live account",
    ),
    _instant("created_at", required=True, now=True),
    Column(
        "reject_threshold",
        Numeric,
        nullable=False,
        server_default=text("0.2"),
        comment="an upload with a greater share of rejected rows is held",
    ),
    Column(
        "known_contacts",
        Text,
        nullable=False,
        server_default="update",
        comment="what an upload does with contacts that are known: update or leave them",
    ),
    _one_of("known_contacts", KNOWN_CONTACTS),
    CheckConstraint("reject_threshold >= 0 and reject_threshold <= 1", name="reject_threshold_is_share"),
    comment="Tenants. Every other table's user_id points here.",
)

auto_engagement_flows = Table(
    "auto_engagement_flows",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("priority", Integer, comment="lower = higher priority; null only when deleted"),
    Column("use_custom_business_hours", Boolean, nullable=False, server_default=text("false")),
    Column("business_hours_start", Time),
    Column("business_hours_end", Time),
    Column("business_hours_timezone", Text),
    Column("business_hours_overnight", Boolean, nullable=False, server_default=text("false")),
    Column("business_hours", JSONB, comment="several windows, weekdays and holidays, in place of start and end"),
    Column("outside_business_hours", Text, nullable=False, server_default="defer"),
    Column("expires_after_minutes", Integer, comment="an action so late is skipped; null: never too late"),
    Column(
        "reentry_after_days", Integer, comment="how long after it entered a contact may enter again; null: it may not"
    ),
    Column("version", Integer, nullable=False, server_default="1"),
    _instant("created_at", required=True, now=True),
    _instant("updated_at", required=True, now=True),
    _instant("deleted_at"),
    # Deferrable, so that a bulk reorder may pass through states in which two flows share a number.
    UniqueConstraint("user_id", "priority", deferrable=True, initially="IMMEDIATE"),
    CheckConstraint("(deleted_at is null) = (priority is not null)", name="priority_null_when_deleted"),
    CheckConstraint("priority >= 0", name="priority_not_negative"),
    CheckConstraint("reentry_after_days > 0", name="reentry_after_days_positive"),
    CheckConstraint("expires_after_minutes > 0", name="expires_after_minutes_positive"),
    _one_of("outside_business_hours", OUTSIDE_BUSINESS_HOURS),
    CheckConstraint(
        "not use_custom_business_hours or business_hours is not null or (business_hours_start is not null"
        " and business_hours_end is not null and business_hours_timezone is not null)",
        name="business_hours_complete",
    ),
    Index("idx_flows_user_enabled", "user_id", "is_enabled"),
    Index("idx_flows_priority", "user_id", "priority", postgresql_where=text("is_enabled")),
    Index("uq_flows_user_name", "user_id", "name", unique=True, postgresql_where=text("deleted_at is null")),
)

flow_versions = Table(
    "flow_versions",
    metadata,
    Column("flow_id", Uuid, ForeignKey("auto_engagement_flows.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", JSONB, nullable=False),
    _instant("created_at", required=True, now=True),
    comment="What each version of a flow said. Rows never change: a trigger refuses it.",
)

flow_trigger_conditions = Table(
    "flow_trigger_conditions",
    metadata,
    _id(),
    Column("flow_id", Uuid, ForeignKey("auto_engagement_flows.id", ondelete="CASCADE"), nullable=False),
    Column(
        "parent_id", Uuid, ForeignKey("flow_trigger_conditions.id", ondelete="CASCADE"), comment="the group it is in"
    ),
    Column("position", Integer, nullable=False, comment="from 0, within the group or at the top"),
    Column("group_kind", Text, comment="set for a group, null for a condition"),
    Column("condition_type", Text),
    Column("condition_operator", Text),
    Column("condition_value", Text, comment="a list is written as JSON"),
    Column("custom_field_name", Text),
    _one_of("group_kind", CONDITION_GROUPS),
    _one_of("condition_type", CONDITION_TYPES),
    _one_of("condition_operator", CONDITION_OPERATORS),
    CheckConstraint("position >= 0", name="position_not_negative"),
    CheckConstraint(
        "(group_kind is null) = (condition_type is not null)"
        " and (group_kind is null) = (condition_operator is not null)"
        " and (group_kind is null or condition_value is null)",
        name="group_or_condition",
    ),
    CheckConstraint(
        "(custom_field_name is not null) = (condition_type is not distinct from 'custom_field')",
        name="custom_field_is_named",
    ),
    Index("idx_trigger_conditions_flow", "flow_id"),
    Index("idx_trigger_conditions_parent", "parent_id"),
    comment="Conditions and groups of the flow's current version; all at the top must hold.",
)

flow_actions = Table(
    "flow_actions",
    metadata,
    _id(),
    Column("flow_id", Uuid, ForeignKey("auto_engagement_flows.id", ondelete="CASCADE"), nullable=False),
    Column("action_order", Integer, nullable=False),
    Column("action_type", Text, nullable=False),
    Column("action_config", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("execute_condition", Text, nullable=False, server_default="always"),
    Column("if_previous_outcome", ARRAY(Text), comment="the outcomes that it wants, one of which must have come"),
    Column("outcome_timeout_minutes", Integer, comment="null: the channel's own"),
    UniqueConstraint("flow_id", "action_order"),
    CheckConstraint(
        "(execute_condition = 'if_previous_outcome') = (if_previous_outcome is not null)"
        f" and if_previous_outcome <@ array[{', '.join(map(repr, OUTCOMES))}]"
        " and cardinality(if_previous_outcome) > 0",
        name="if_previous_outcome",
    ),
    CheckConstraint("outcome_timeout_minutes > 0", name="outcome_timeout_minutes_positive"),
    CheckConstraint("action_order > 0", name="action_order_positive"),
    _one_of("action_type", ACTION_TYPES),
    _one_of("execute_condition", EXECUTE_CONDITIONS),
    Index("idx_flow_actions_flow_order", "flow_id", "action_order"),
    comment="Actions of the flow's current version.",
)

lead_uploads = Table(
    "lead_uploads",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("inbox_path", Text, nullable=False, comment="relative to the inbox"),
    Column("file_sha256", Text),
    Column("file_bytes", BigInteger),
    Column("status", Text, nullable=False, server_default="waiting"),
    Column("rows_read", Integer, nullable=False, server_default="0"),
    Column("rows_inserted", Integer, nullable=False, server_default="0"),
    Column("rows_updated", Integer, nullable=False, server_default="0"),
    Column("rows_duplicate", Integer, nullable=False, server_default="0"),
    Column("rows_rejected", Integer, nullable=False, server_default="0"),
    Column("rows_held", Integer, nullable=False, server_default="0", comment="usable rows of a held upload"),
    Column("format", JSONB, comment="what was sniffed: encoding, delimiter, line end"),
    Column(
        "options",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="what was asked for beside the file: see UploadOptions",
    ),
    Column("rows_seen", Integer, comment="progress of the run that loads it"),
    Column("column_mapping", JSONB, comment="file column -> contact field or custom field"),
    Column("findings", JSONB, comment="what the load found besides its books: see UploadFindings"),
    Column("repeat_of", Uuid, ForeignKey("lead_uploads.id"), comment="the upload that loaded the same bytes"),
    Column("refusal_code", Text),
    Column("refusal_reason", Text),
    _instant("created_at", required=True, now=True),
    _instant("finished_at"),
    *_lease(),
    _one_of("status", UPLOAD_STATUSES),
    CheckConstraint(
        "rows_read = rows_inserted + rows_updated + rows_duplicate + rows_rejected + rows_held", name="books_balance"
    ),
    Index("idx_lead_uploads_open", "status", postgresql_where=text("status in ('waiting', 'running')")),
    Index(
        "uq_lead_uploads_open_path",
        "inbox_path",
        unique=True,
        postgresql_where=text("status in ('waiting', 'running')"),
    ),
    Index("idx_lead_uploads_user_sha256", "user_id", "file_sha256"),
    _changed_in(),
    Index("idx_lead_uploads_changed_in", "changed_in"),
)

rejected_rows = Table(
    "rejected_rows",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("upload_id", Uuid, ForeignKey("lead_uploads.id"), nullable=False),
    Column("line_number", Integer, nullable=False, comment="physical line in the file on which the record begins"),
    Column("raw_row", JSONB, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("idx_rejected_rows_upload", "upload_id", "line_number"),
    _changed_in(),
    Index("idx_rejected_rows_changed_in", "changed_in"),
    comment="Quarantine: rows of a lead file that became no contact, and why.",
)

micro_batches = Table(
    "micro_batches",
    metadata,
    _id(),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="waiting"),
    Column("item_count", Integer, nullable=False),
    _instant("formed_at", required=True, now=True),
    _instant("finished_at"),
    *_lease(),
    _one_of("kind", BATCH_KINDS),
    _one_of("status", BATCH_STATUSES),
    Index("idx_micro_batches_open", "kind", "status", postgresql_where=text("status in ('waiting', 'running')")),
)

contacts = Table(
    "contacts",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("source_system", Text, comment="the system that external_id belongs to"),
    Column("external_id", Text),
    Column("phone_e164", Text),
    Column("email", Text, comment="normalised, lower case"),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("company", Text),
    Column("lead_source", Text),
    Column("entry_type", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("custom_fields", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column(
        "time_zones",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'::text[]"),
        comment="where the contact may be, by its number or country; empty when nobody knows",
    ),
    _instant("forgotten_at"),
    # A trigger suppresses the addresses of such a contact, and of one with a DNC tag; see migration 0003.
    Column(
        "suppressed_channels",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'::text[]"),
        comment="channels that the contact said no to, whatever its address",
    ),
    # One definition of "do not contact" for matching and sending alike; see the function in the first migration.
    Column("is_dnc", Boolean, Computed("engage_has_dnc_tag(tags)", persisted=True)),
    Column("upload_id", Uuid, ForeignKey("lead_uploads.id"), comment="the upload that created the contact"),
    Column("micro_batch_id", Uuid, ForeignKey("micro_batches.id"), comment="null until a sensor tick picks it up"),
    _instant("created_at", required=True, now=True),
    _instant("updated_at", required=True, now=True),
    CheckConstraint(f"suppressed_channels <@ array[{', '.join(map(repr, CHANNELS))}]", name="suppressed_channels"),
    Index(
        "uq_contacts_external",
        "user_id",
        "source_system",
        "external_id",
        unique=True,
        postgresql_where=text("external_id is not null"),
    ),
    Index("idx_contacts_phone", "user_id", "phone_e164", postgresql_where=text("phone_e164 is not null")),
    Index("idx_contacts_email", "user_id", "email", postgresql_where=text("email is not null")),
    # A lane is an upload, or what came one by one: batches take from each in turn.
    Index(
        "idx_contacts_unbatched",
        "user_id",
        text("coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
        "updated_at",
        "id",
        postgresql_where=text("micro_batch_id is null"),
    ),
    Index("idx_contacts_micro_batch", "micro_batch_id"),
    _changed_in(),
    Index("idx_contacts_changed_in", "changed_in"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column(
        "address",
        Text,
        primary_key=True,
        comment="phone_e164, normalised e-mail, or a keyed hash of somebody forgotten",
    ),
    Column("source", Text, nullable=False, comment="where the wish was stated, e.g. the upload's column"),
    _instant("created_at", required=True, now=True),
    _one_of("channel", CHANNELS),
    Index("idx_suppressions_forgotten", "user_id", postgresql_where=text("starts_with(address, 'hmac-sha256:')")),
    comment="Addresses that said no to a channel. A later upload never lifts one.",
)

channel_accounts = Table(
    "channel_accounts",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("mode", Text, nullable=False, server_default="sandbox"),
    Column("credentials", LargeBinary, nullable=False, comment="JSON, encrypted with the installation's key"),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb"), comment="nothing secret"),
    Column("webhook_token_sha256", Text, nullable=False, unique=True, comment="hex; the token is shown once"),
    Column("is_active", Boolean, nullable=False, server_default=text("true"), comment="new requests go by it"),
    Column("paused_reason", Text, comment="what must be mended before anything can be sent"),
    _instant("paused_at"),
    _instant("created_at", required=True, now=True),
    _one_of("channel", CHANNELS),
    _one_of("mode", ACCOUNT_MODES),
    CheckConstraint("(paused_at is null) = (paused_reason is null)", name="paused_has_reason"),
    Index("uq_channel_accounts_active", "user_id", "channel", unique=True, postgresql_where=text("is_active")),
    comment="A tenant's accounts with providers. One of each channel is active.",
)

channel_budgets = Table(
    "channel_budgets",
    metadata,
    Column("account_id", Uuid, ForeignKey("channel_accounts.id"), primary_key=True),
    Column("requests_per_second", Numeric, comment="null: no limit"),
    Column("in_flight_cap", Integer, comment="accepted and not terminal, at the most; null: no limit"),
    Column("daily_cap", Integer, comment="requests in one UTC day; null: no limit"),
    Column("stated_in_flight_cap", Integer, comment="what the provider itself says of the account"),
    Column(
        "next_free_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="up to then every moment to send in is promised",
    ),
    Column("pace", Numeric, nullable=False, server_default="1", comment="share of the rate, less after a 429"),
    Column("held_until", DateTime(timezone=True), comment="the provider asked to wait until then"),
    Column("day", Date, nullable=False, server_default=text("current_date")),
    Column("day_count", Integer, nullable=False, server_default="0"),
    CheckConstraint("requests_per_second > 0", name="requests_per_second_positive"),
    CheckConstraint("in_flight_cap > 0", name="in_flight_cap_positive"),
    CheckConstraint("daily_cap > 0", name="daily_cap_positive"),
    CheckConstraint("pace > 0 and pace <= 1", name="pace_is_a_share"),
    comment="What an account may send; drawn by the statement that claims.",
)

message_templates = Table(
    "message_templates",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content", JSONB, nullable=False),
    Column("defaults", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _instant("created_at", required=True, now=True),
    _one_of("channel", CHANNELS),
    CheckConstraint("version > 0", name="version_positive"),
    comment="What messages say, every version of it. The newest is used.",
)

provider_events = Table(
    "provider_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", Uuid, ForeignKey("channel_accounts.id"), nullable=False),
    Column("event_key", Text, nullable=False, comment="the provider's id of the event"),
    Column("body", Text, comment="JSON as it came; cleared some days after it was applied"),
    Column("delivery_count", Integer, nullable=False, server_default="1", comment="how often the provider sent it"),
    Column("due_at", DateTime(timezone=True), server_default=func.now(), comment="when to apply it; null once applied"),
    Column("result", Text),
    _instant("received_at", required=True, now=True),
    _instant("applied_at"),
    _one_of("result", EVENT_RESULTS),
    CheckConstraint("(due_at is null) = (applied_at is not null)", name="due_until_applied"),
    CheckConstraint("(applied_at is null) = (result is null)", name="applied_has_result"),
    UniqueConstraint("account_id", "event_key"),
    Index("idx_provider_events_due", "due_at", "id", postgresql_where=text("due_at is not null")),
    Index("idx_provider_events_applied", "applied_at", postgresql_where=text("body is not null")),
    comment="What providers told by webhook, verified and stored before anything is done with it.",
)

flow_assignments = Table(
    "flow_assignments",
    metadata,
    Column("contact_id", Uuid, ForeignKey("contacts.id"), primary_key=True),
    Column("micro_batch_id", Uuid, ForeignKey("micro_batches.id"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("flow_id", Uuid),
    Column("flow_version", Integer),
    Column("reason", Text, nullable=False),
    _instant("assigned_at", required=True, now=True),
    ForeignKeyConstraint(["flow_id", "flow_version"], ["flow_versions.flow_id", "flow_versions.version"]),
    _one_of("reason", ASSIGNMENT_REASONS),
    CheckConstraint(
        "(reason in ('matched', 'suppressed', 'unreachable')) = (flow_id is not null)", name="flow_by_reason"
    ),
    Index("idx_flow_assignments_batch", "micro_batch_id"),
    _changed_in(),
    Index("idx_flow_assignments_changed_in", "changed_in"),
    comment="Which flow a contact got, or why none. One row a contact and batch, whatever is retried.",
)

flow_executions = Table(
    "flow_executions",
    metadata,
    _id(),
    Column("flow_id", Uuid, ForeignKey("auto_engagement_flows.id"), nullable=False),
    Column("flow_version", Integer, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("contact_id", Uuid, ForeignKey("contacts.id"), nullable=False),
    Column("micro_batch_id", Uuid, ForeignKey("micro_batches.id"), nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    _instant("triggered_at", required=True, now=True),
    _instant("completed_at"),
    _instant("updated_at", required=True, now=True),
    Column("is_test_run", Boolean, nullable=False, server_default=text("false")),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    ForeignKeyConstraint(["flow_id", "flow_version"], ["flow_versions.flow_id", "flow_versions.version"]),
    UniqueConstraint("contact_id", "micro_batch_id"),
    _one_of("status", EXECUTION_STATUSES),
    Index("idx_executions_flow", "flow_id"),
    Index("idx_executions_contact", "contact_id"),
    Index("idx_executions_user_status", "user_id", "status"),
    Index("idx_executions_triggered_at", text("triggered_at desc")),
    Index("idx_executions_user_triggered_at", "user_id", text("triggered_at desc"), text("id desc")),
    _changed_in(),
    Index("idx_flow_executions_changed_in", "changed_in"),
)

flow_action_logs = Table(
    "flow_action_logs",
    metadata,
    _id(),
    Column("execution_id", Uuid, ForeignKey("flow_executions.id"), nullable=False),
    Column("user_id", Uuid, nullable=False, comment="the execution's, for fair batches"),
    Column("action_id", Uuid, ForeignKey("flow_actions.id", ondelete="SET NULL")),
    Column("action_order", Integer, nullable=False),
    Column("action_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), comment="when the ledger looks at the log next; null once it is final"),
    Column("micro_batch_id", Uuid, ForeignKey("micro_batches.id"), comment="the open batch that holds the log"),
    Column("attempt_count", Integer, nullable=False, server_default="0", comment="sends begun"),
    Column(
        "attempts",
        JSONB,
        nullable=False,
        server_default=text("'[]'::jsonb"),
        comment="what was answered to each send and look-up, in order",
    ),
    Column("outcome_timeout_minutes", Integer, comment="how long an accepted request waits for its outcome"),
    Column(
        "awaits_reading",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="a later action depends on whether it is read, so delivered does not end it",
    ),
    Column(
        "is_parked",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="due, and nobody may send it: out of the due index until the flow is enabled or the pause ends",
    ),
    Column("request", JSONB, comment="what was handed to the provider, frozen with the intent"),
    Column("provider_message_id", Text),
    Column("outcome", Text, comment="the latest that is known of what became of it"),
    Column("outcome_at", DateTime(timezone=True), comment="when that happened, by the provider's clock"),
    Column("accepted_at", DateTime(timezone=True), comment="when the provider took the request"),
    Column("outcome_asked_at", DateTime(timezone=True), comment="when a poll last asked the provider"),
    Column("stop_asked_at", DateTime(timezone=True), comment="when the provider was asked to take it back"),
    Column("cost_cents", Numeric, comment="what the provider charged, in cents of US dollars"),
    Column("call_seconds", Numeric, comment="length of the conversation"),
    _instant("executed_at"),
    _instant("completed_at"),
    _instant("created_at", required=True, now=True),
    _instant("updated_at", required=True, now=True),
    Column("result_data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("error_message", Text),
    Column("skip_reason", Text),
    CheckConstraint("action_order > 0", name="action_order_positive"),
    _one_of("action_type", ACTION_TYPES),
    _one_of("status", ACTION_LOG_STATUSES),
    _one_of("outcome", tuple(OUTCOMES)),
    CheckConstraint(
        f"(status in ({', '.join(map(repr, OPEN_LOG_STATUSES))})) = (due_at is not null)", name="due_until_final"
    ),
    CheckConstraint("(status = 'skipped') = (skip_reason is not null)", name="skipped_has_reason"),
    Index("idx_action_logs_execution", "execution_id", "action_order", unique=True),
    CheckConstraint("not is_parked or status = 'pending'", name="parked_is_pending"),
    Index(
        "idx_action_logs_due",
        "user_id",
        "due_at",
        "id",
        postgresql_where=text("due_at is not null and micro_batch_id is null and not is_parked"),
    ),
    Index("idx_action_logs_sent", "accepted_at", postgresql_where=text("status = 'sent'")),
    Index("idx_action_logs_parked", "execution_id", postgresql_where=text("is_parked")),
    Index(
        "idx_action_logs_in_flight",
        "user_id",
        "action_type",
        postgresql_where=text("status in ('sending', 'sent')"),
    ),
    Index(
        "idx_action_logs_provider_message",
        "provider_message_id",
        postgresql_where=text("provider_message_id is not null"),
    ),
    Index(
        "idx_action_logs_batch",
        "micro_batch_id",
        "action_type",
        "user_id",
        "due_at",
        "id",
        postgresql_where=text("micro_batch_id is not null"),
    ),
    _changed_in(),
    Index("idx_flow_action_logs_changed_in", "changed_in"),
)

deleted_rows = Table(
    "deleted_rows",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("table_name", Text, nullable=False),
    Column("row_key", JSONB, comment="the primary key of the row that is gone; null: the whole table was emptied"),
    Column("changed_in", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Index("idx_deleted_rows_changed_in", "changed_in"),
    comment="Rows that were deleted from the tables that the warehouse reads, by triggers.",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False, comment="of method, path and body"),
    Column("status", Integer, comment="of the answer; null while the request is under way"),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    _instant("created_at", required=True, now=True),
    Index("idx_idempotency_keys_created_at", "created_at"),
    comment="Answers of the API to requests with an Idempotency-Key, given again when the request is repeated.",
)

pauses = Table(
    "pauses",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id"), comment="null: every tenant"),
    Column("channel", Text, comment="null: every channel"),
    Column("reason", Text, nullable=False),
    _instant("created_at", required=True, now=True),
    _one_of("channel", CHANNELS),
    UniqueConstraint("user_id", "channel", postgresql_nulls_not_distinct=True),
    comment="The emergency brake: while a row is here, nothing it covers begins to be sent.",
)

stopped_templates = Table(
    "stopped_templates",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("template_id", Text, primary_key=True, comment="as actions name it"),
    Column("reason", Text, nullable=False, comment="what must be mended before it can be sent"),
    _instant("stopped_at", required=True),
    _one_of("channel", CHANNELS),
    comment="Templates that their provider refuses whoever they are for; nothing with them begins to be sent.",
)

address_touches = Table(
    "address_touches",
    metadata,
    Column("flow_id", Uuid, primary_key=True),
    Column("action_order", Integer, primary_key=True),
    Column("address_sha256", LargeBinary, primary_key=True),
    Column("contact_id", Uuid, nullable=False),
    Column("action_log_id", Uuid, nullable=False),
    _instant("touched_at", required=True),
    Column("held_until", DateTime(timezone=True), nullable=False, comment="when another contact may get it there"),
    comment="Which contact an address got an action of a flow for, and when; two contacts may share an address.",
)
