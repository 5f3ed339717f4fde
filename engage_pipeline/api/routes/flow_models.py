"""What the flow endpoints take and give, with examples; the rules are the engine's."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from engage_pipeline.flows.conditions import TriggerConditions
from engage_pipeline.flows.hours import ClockTime, WeeklyHours
from engage_pipeline.flows.model import LARGEST_PRIORITY, LONGEST_REENTRY_DAYS, Action, Flow
from engage_pipeline.flows.reading import ShownFlow
from engage_pipeline.flows.storable import StorableText

CONDITIONS: list[Any] = [
    {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": "Website"},
    {
        "any": [
            {"condition_type": "tag", "condition_operator": "equals", "condition_value": "hot"},
            {
                "condition_type": "custom_field",
                "custom_field_name": "Team size",
                "condition_operator": "gte",
                "condition_value": 50,
            },
        ]
    },
]
ACTIONS: list[Any] = [
    {
        "action_order": 1,
        "action_type": "ai_call",
        "action_config": {"agent_id": "agent-demo", "phone_number_id": "+12025550100"},
    },
    {"action_order": 2, "action_type": "wait", "action_config": {"duration_minutes": 60}},
    {
        "action_order": 3,
        "action_type": "email",
        "action_config": {"template_id": "welcome"},
        "execute_condition": "if_previous_failed",
    },
]
FLOW: dict[str, Any] = {
    "name": "Website leads",
    "description": "A call, and an e-mail when nobody answers.",
    "priority": 50,
    "is_enabled": True,
    "trigger_conditions": CONDITIONS,
    "actions": ACTIONS,
}
FLOW_ID = "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11"


def _example(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": list(examples)})


class NewFlow(Flow):
    """A flow to be created."""

    model_config = _example(FLOW)


class FlowPatch(BaseModel):
    """Fields of a flow that are to change; what is absent stays."""

    model_config = _example({"name": "Website leads, evenings", "priority": 51})

    name: str | None = None
    description: StorableText | None = None
    priority: Annotated[int, Field(strict=True, ge=0, le=LARGEST_PRIORITY)] | None = None
    is_enabled: StrictBool | None = None
    use_custom_business_hours: StrictBool | None = None
    business_hours_start: ClockTime | None = None
    business_hours_end: ClockTime | None = None
    business_hours_timezone: str | None = None
    business_hours_overnight: StrictBool | None = None
    business_hours: WeeklyHours | None = None
    outside_business_hours: Literal["defer", "skip"] | None = None
    expires_after_minutes: Annotated[int, Field(strict=True, gt=0)] | None = None
    reentry_after_days: Annotated[int, Field(strict=True, gt=0, le=LONGEST_REENTRY_DAYS)] | None = None
    trigger_conditions: TriggerConditions | None = None
    actions: tuple[Action, ...] | None = None


class ConditionsPut(BaseModel):
    """The trigger conditions that a flow is to have; none at all holds for every contact."""

    model_config = _example({"conditions": CONDITIONS})

    conditions: TriggerConditions


class ActionsPut(BaseModel):
    """The actions that a flow is to have."""

    model_config = _example({"actions": ACTIONS})

    actions: tuple[Action, ...]


class Toggle(BaseModel):
    """Whether the flow is to be enabled."""

    model_config = _example({"is_enabled": False})

    is_enabled: StrictBool


class FlowPriority(BaseModel):
    """One flow's new priority."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: UUID
    priority: Annotated[int, Field(strict=True, ge=0, le=LARGEST_PRIORITY)]


class PriorityUpdate(BaseModel):
    """Flows and the priorities that they are to have; flows that are not named keep theirs."""

    model_config = _example({"priorities": [{"id": FLOW_ID, "priority": 7}]})

    priorities: Annotated[list[FlowPriority], Field(min_length=1, max_length=1000)]


class PrioritiesChanged(BaseModel):
    """What a change of priorities did."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"updated_count": 1, "priorities": [{"id": FLOW_ID, "priority": 7}]}]}
    )

    updated_count: int = Field(description="Flows whose priority is another one now.")
    priorities: list[FlowPriority]


_SHOWN: dict[str, Any] = {
    **FLOW,
    "id": FLOW_ID,
    "user_id": "0199d3a0-0000-7000-8000-000000000001",
    "version": 1,
    "created_at": "2026-05-01T09:30:00Z",
    "updated_at": "2026-05-01T09:30:00Z",
    "use_custom_business_hours": False,
    "business_hours_start": None,
    "business_hours_end": None,
    "business_hours_timezone": None,
    "business_hours_overnight": False,
    "business_hours": None,
    "outside_business_hours": "defer",
    "expires_after_minutes": 10080,
    "reentry_after_days": None,
}


class FlowOut(BaseModel):
    """A flow as it is in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    id: UUID
    user_id: UUID = Field(description="The tenant.")
    name: str
    description: str | None
    is_enabled: bool
    priority: int = Field(description="A lower number comes first.")
    use_custom_business_hours: bool
    business_hours_start: str | None = Field(description="HH:mm")
    business_hours_end: str | None = Field(description="HH:mm")
    business_hours_timezone: str | None
    business_hours_overnight: bool
    business_hours: dict[str, Any] | None
    outside_business_hours: Literal["defer", "skip"]
    expires_after_minutes: int | None
    reentry_after_days: int | None
    version: int
    created_at: datetime
    updated_at: datetime
    trigger_conditions: list[dict[str, Any]]
    actions: list[dict[str, Any]]


class FlowPage(BaseModel):
    """A page of flows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SHOWN], "next_cursor": None}]})

    items: list[FlowOut]
    next_cursor: str | None = Field(description="Pass it back as `cursor`; null on the last page.")


def flow_view(shown: ShownFlow) -> Mapping[str, Any]:
    """A flow as `FlowOut` describes it."""
    return {
        "id": shown.flow_id,
        "user_id": shown.user_id,
        "version": shown.version,
        "created_at": shown.created_at,
        "updated_at": shown.updated_at,
        **shown.definition,
    }
