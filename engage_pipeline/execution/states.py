"""The state machine of action logs and executions: every transition there is, and the only place that says so.

Nothing else decides what may follow what. The statements in the `.sql` files each make some of these transitions, their
first line says which, and a test reads it. A trigger of the database, made from these tables (`transition_guard`),
refuses every other change of a status, whoever makes it.
"""

from typing import NamedTuple


class Transition(NamedTuple):
    """One allowed change of a status. `only_if`: a condition on the row as it was (`old`), in SQL."""

    before: str
    after: str
    why: str
    only_if: str | None = None


LOG_TRANSITIONS = (
    Transition("pending", "sending", "the intent is stored, and the request goes out"),
    Transition("pending", "skipped", "it is not taken, for the log's skip_reason"),
    Transition("pending", "success", "a wait is over", "old.action_type = 'wait'"),
    Transition("sending", "sent", "the provider took it, and tells the outcome later"),
    Transition("sending", "success", "the provider took it and tells no more, or told the outcome already"),
    Transition("sending", "failed", "the provider refused it, or put it off too often"),
    Transition("sending", "pending", "nothing was sent, and it is tried again"),
    Transition("sending", "skipped", "nothing was sent, and its execution was cancelled meanwhile"),
    Transition("sending", "unknown", "nobody can say whether it arrived"),
    Transition("sent", "success", "the outcome is a success"),
    Transition("sent", "failed", "the outcome is none, or did not come in time"),
    Transition("unknown", "sent", "the provider knows it after all"),
    Transition("unknown", "success", "an outcome came, or a person said so"),
    Transition("unknown", "failed", "an outcome came, a person said so, or seven days went by"),
    Transition("failed", "success", "the true outcome came after the timeout", "old.outcome = 'expired'"),
)
"""Of an action log. It begins `pending`, or `skipped` where its execute_condition is false."""

EXECUTION_TRANSITIONS = (
    Transition("pending", "running", "its first action began"),
    Transition("pending", "skipped", "it is at its end, and nothing was attempted"),
    Transition("pending", "cancelled", "by a person, a DNC tag, or the deletion of its flow"),
    Transition("running", "completed", "it is at its end, and a channel action succeeded, or the flow has none"),
    Transition("running", "failed", "it is at its end; something was attempted, and nothing succeeded"),
    Transition("running", "skipped", "it is at its end, and nothing was attempted"),
    Transition("running", "cancelled", "by a person, a DNC tag, or the deletion of its flow"),
)
"""Of an execution. It begins `pending`."""

MACHINES = {"flow_action_logs": LOG_TRANSITIONS, "flow_executions": EXECUTION_TRANSITIONS}
"""Table -> what its column `status` may do."""


def may_follow(table: str, before: str, after: str) -> bool:
    """Whether some row of the table may go from `before` to `after`."""
    return any((each.before, each.after) == (before, after) for each in MACHINES[table])


def transition_guard(table: str) -> str:
    """The trigger that holds the table to its machine. The condition stands in `when`, so an allowed change costs no
    call of a function."""
    allowed = "\n        or ".join(_condition(each) for each in MACHINES[table])
    return (
        f"create trigger {table}_transitions before update of status on {table}\n"
        f"    for each row when (old.status <> new.status and not coalesce(\n        {allowed}, false))\n"
        "    execute function engage_refuse_transition()"
    )


def _condition(transition: Transition) -> str:
    only_if = f" and {transition.only_if}" if transition.only_if else ""
    return f"(old.status = '{transition.before}' and new.status = '{transition.after}'{only_if})"
