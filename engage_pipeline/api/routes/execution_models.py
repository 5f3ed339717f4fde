"""What the execution endpoints give, with examples."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

EXECUTION_ID = "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d22"
CONTACT_ID = "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d33"
_EXECUTION = {
    "id": EXECUTION_ID,
    "flow_id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11",
    "flow_name": "Website leads",
    "flow_version": 3,
    "user_id": "0199d3a0-0000-7000-8000-000000000001",
    "contact_id": CONTACT_ID,
    "status": "running",
    "is_test_run": False,
    "triggered_at": "2026-05-01T09:30:00Z",
    "completed_at": None,
    "metadata": {},
    "next_due_at": "2026-05-01T10:30:00Z",
}
_COUNTS = {
    "as_of": "2026-05-01T09:30:00Z",
    "total": 4642,
    "pending": 0,
    "running": 2877,
    "completed": 1431,
    "failed": 286,
    "cancelled": 0,
    "skipped": 48,
    "completion_rate": 0.8334,
}
_DETAIL = {
    **_EXECUTION,
    "contact": {
        "id": CONTACT_ID,
        "first_name": "Ada",
        "last_name": "Example",
        "phone_e164": "+12025550171",
        "email": "ada@example.com",
    },
    "action_logs": [
        {
            "id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d44",
            "action_id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d55",
            "action_order": 1,
            "action_type": "ai_call",
            "status": "success",
            "outcome": "answered",
            "skip_reason": None,
            "error_message": None,
            "due_at": None,
            "executed_at": "2026-05-01T09:30:02Z",
            "completed_at": "2026-05-01T09:31:40Z",
            "attempt_count": 1,
            "provider_message_id": "call-1042",
            "cost_cents": 4.5,
            "call_seconds": 71.0,
            "result_data": {"answered_by": "human"},
        }
    ],
}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class ExecutionOut(BaseModel):
    """One contact's walk through a flow."""

    model_config = _example(_EXECUTION)

    id: UUID
    flow_id: UUID
    flow_name: str
    flow_version: int
    user_id: UUID = Field(description="The tenant.")
    contact_id: UUID
    status: str = Field(description="pending, running, completed, failed, cancelled or skipped.")
    is_test_run: bool
    triggered_at: datetime
    completed_at: datetime | None
    metadata: dict[str, Any]
    next_due_at: datetime | None = Field(description="When something happens next; null once it has ended.")


class ExecutionPage(BaseModel):
    """A page of executions."""

    model_config = _example({"items": [_EXECUTION], "next_cursor": None})

    items: list[ExecutionOut]
    next_cursor: str | None = Field(description="Pass it back as `cursor`; null on the last page.")


class ExecutionCounts(BaseModel):
    """Executions by state."""

    model_config = _example(_COUNTS)

    as_of: datetime = Field(description="When they were counted.")
    total: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    skipped: int
    completion_rate: float | None = Field(description="completed by completed and failed, 0 to 1; null without any.")


class ContactBrief(BaseModel):
    """Who is engaged."""

    id: UUID
    first_name: str | None
    last_name: str | None
    phone_e164: str | None
    email: str | None


class ActionLogOut(BaseModel):
    """One action of an execution, and what became of it."""

    id: UUID
    action_id: UUID | None = Field(description="Null where the flow has moved on since.")
    action_order: int
    action_type: str
    status: str = Field(description="pending, sending, sent, success, failed, skipped or unknown.")
    outcome: str | None
    skip_reason: str | None
    error_message: str | None
    due_at: datetime | None
    executed_at: datetime | None
    completed_at: datetime | None
    attempt_count: int
    provider_message_id: str | None
    cost_cents: float | None
    call_seconds: float | None
    result_data: dict[str, Any]


class ExecutionDetail(ExecutionOut):
    """One execution with its contact and its timeline."""

    model_config = _example(_DETAIL)

    contact: ContactBrief
    action_logs: list[ActionLogOut]


def execution_view(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the engine as `ExecutionOut` describes it; the row is used up."""
    return {"id": row.pop("execution_id"), **row}


def detail_view(found: dict[str, Any], contact: dict[str, Any]) -> dict[str, Any]:
    """An execution of the engine as `ExecutionDetail` describes it."""
    logs = [
        {"id": log["action_log_id"], **{name: log[name] for name in ActionLogOut.model_fields if name != "id"}}
        for log in found["action_logs"]
    ]
    return {**execution_view(found), "contact": contact, "action_logs": logs}
