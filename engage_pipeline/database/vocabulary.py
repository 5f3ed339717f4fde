"""The words that columns may hold; check constraints and code read them from here."""

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
EXECUTE_CONDITIONS = ("always", "if_previous_success", "if_previous_failed")
EXECUTION_STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped")
ACTION_LOG_STATUSES = ("pending", "sending", "success", "failed", "skipped", "unknown")
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
BATCH_KINDS = ("new_contacts", "due_actions")
BATCH_STATUSES = ("waiting", "running", "done", "failed")
ADDRESS_COLUMNS = {"ai_call": "phone_e164", "whatsapp_message": "phone_e164", "email": "email"}
"""Channel -> the column of `contacts` that it needs."""
CHANNELS = tuple(ADDRESS_COLUMNS)
