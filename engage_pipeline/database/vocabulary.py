"""The words that columns may hold; check constraints and code read them from here."""

from typing import NamedTuple

CONDITION_TYPES = ("lead_source", "entry_type", "custom_field", "tag", "email_domain", "phone_country", "created_at")
CONDITION_OPERATORS = (
    "equals",
    "not_equals",
    "contains",
    "any",
    "in",
    "not_in",
    "starts_with",
    "ends_with",
    "matches",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "before",
    "after",
    "within_last",
    "is_set",
    "is_not_set",
)
CONDITION_GROUPS = ("all", "any", "none")
ACTION_TYPES = ("ai_call", "whatsapp_message", "email", "wait")
EXECUTE_CONDITIONS = ("always", "if_previous_success", "if_previous_failed", "if_previous_outcome")
EXECUTION_STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped")
ACTION_LOG_STATUSES = ("pending", "sending", "sent", "success", "failed", "skipped", "unknown")
OPEN_LOG_STATUSES = ("pending", "sending", "sent", "unknown")
"""The statuses of an action log that the ledger still has to look at: exactly these have a `due_at`."""
ASSIGNMENT_REASONS = (
    "matched",
    "no_match",
    "dnc",
    "suppressed",
    "unreachable",
    "already_engaged",
    "reentry_blocked",
)
UPLOAD_STATUSES = ("waiting", "running", "loaded", "refused", "repeated", "failed", "held", "discarded")
KNOWN_CONTACTS = ("update", "leave")
OUTSIDE_BUSINESS_HOURS = ("defer", "skip")
BATCH_KINDS = ("new_contacts", "due_actions", "test_run")
BATCH_STATUSES = ("waiting", "running", "done", "failed")
ADDRESS_COLUMNS = {"ai_call": "phone_e164", "whatsapp_message": "phone_e164", "email": "email"}
"""Channel -> the column of `contacts` that it needs."""
CHANNELS = tuple(ADDRESS_COLUMNS)


class OutcomeMeaning(NamedTuple):
    """What an outcome means to the ledger.

    Attributes:
        rank: a later event replaces the outcome of a log only when it ranks higher, so that events that are repeated or
            out of order change nothing.
        status: what a log that still waits for its outcome becomes; None leaves it waiting.
    """

    rank: int
    status: str | None


OUTCOMES = {
    "accepted": OutcomeMeaning(0, None),
    "expired": OutcomeMeaning(1, "failed"),
    "delivered": OutcomeMeaning(2, "success"),
    "opened": OutcomeMeaning(3, "success"),
    "read": OutcomeMeaning(3, "success"),
    "answered": OutcomeMeaning(4, "success"),
    "no_answer": OutcomeMeaning(4, "failed"),
    "busy": OutcomeMeaning(4, "failed"),
    "voicemail": OutcomeMeaning(4, "failed"),
    "refused": OutcomeMeaning(4, "failed"),
    "failed": OutcomeMeaning(4, "failed"),
    "bounced": OutcomeMeaning(4, "failed"),
    "complained": OutcomeMeaning(5, "failed"),
    "opted_out": OutcomeMeaning(5, "failed"),
}
"""What can become of a call, message or e-mail: one vocabulary for all channels."""
ACCOUNT_MODES = ("sandbox", "live")
EVENT_RESULTS = ("applied", "opted_out", "nothing", "unknown_id", "other_tenant", "unreadable", "unconfirmed")
"""What became of a provider's event."""
