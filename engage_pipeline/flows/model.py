"""A flow as a person writes it, with the client's field names, and the rules that hold within one flow."""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

ConditionType = Literal["lead_source", "entry_type", "custom_field"]
ConditionOperator = Literal["equals", "not_equals", "contains", "any"]
ActionType = Literal["ai_call", "whatsapp_message", "email", "wait"]
ExecuteCondition = Literal["always", "if_previous_success", "if_previous_failed"]

REQUIRED_CONFIG: dict[ActionType, tuple[str, ...]] = {
    "ai_call": ("agent_id", "phone_number_id"),
    "whatsapp_message": ("template_id",),
    "email": ("template_id",),
    "wait": ("duration_minutes",),
}


def _hours_and_minutes(value: object) -> object:
    """`HH:mm` and nothing else. YAML 1.1 reads an unquoted 09:30 as the number 570 (base 60), which is refused with a
    hint."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return time(int(value[:2]), int(value[3:]))
    hint = " (put the time in quotes)" if isinstance(value, int) else ""
    raise ValueError(f"a time is written 'HH:mm', from '00:00' to '23:59'{hint}")


ClockTime = Annotated[
    time, BeforeValidator(_hours_and_minutes), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TriggerCondition(_Strict):
    """One test of a contact. `any` holds for every contact, so it takes no value; every other operator needs one."""

    condition_type: ConditionType
    condition_operator: ConditionOperator
    condition_value: str | int | float | bool | None = None
    custom_field_name: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.condition_type == "custom_field" and not (self.custom_field_name or "").strip():
            raise ValueError("custom_field_name is needed when condition_type is custom_field")
        if self.condition_type != "custom_field" and self.custom_field_name is not None:
            raise ValueError(f"custom_field_name goes only with condition_type custom_field, not {self.condition_type}")
        if self.condition_operator != "any" and self.condition_value is None:
            raise ValueError(f"condition_value is needed for {self.condition_operator}")
        if self.condition_operator == "any" and self.condition_value is not None:
            raise ValueError("any holds for every contact and takes no condition_value")
        return self


class Action(_Strict):
    """One step of a flow."""

    action_order: Annotated[int, Field(gt=0)]
    action_type: ActionType
    action_config: dict[str, Any] = {}
    execute_condition: ExecuteCondition = "always"

    @model_validator(mode="after")
    def _configured(self) -> Self:
        missing = [key for key in REQUIRED_CONFIG[self.action_type] if self.action_config.get(key) in (None, "")]
        if missing:
            raise ValueError(f"action_config of {self.action_type} needs {', '.join(missing)}")
        if self.action_type == "wait":
            minutes = self.action_config["duration_minutes"]
            if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
                raise ValueError("duration_minutes is a number above 0")
        return self


class Flow(_Strict):
    """A flow of one tenant: who it is for, when it may act, and what it does."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str | None = None
    priority: Annotated[int, Field(ge=0)]
    is_enabled: bool = True
    use_custom_business_hours: bool = False
    business_hours_start: ClockTime | None = None
    business_hours_end: ClockTime | None = None
    business_hours_timezone: str | None = None
    business_hours_overnight: bool = False
    trigger_conditions: tuple[TriggerCondition, ...] = ()
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]

    @field_validator("business_hours_timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("an IANA time zone is needed, such as America/New_York or Asia/Kolkata")
        return value

    @model_validator(mode="after")
    def _hours_make_a_window(self) -> Self:
        if not self.use_custom_business_hours:
            return self
        start, end = self.business_hours_start, self.business_hours_end
        if start is None or end is None or self.business_hours_timezone is None:
            raise ValueError(
                "use_custom_business_hours needs business_hours_start, business_hours_end and business_hours_timezone"
            )
        if start == end:
            raise ValueError("business_hours_start and business_hours_end are the same, so the window is empty")
        if start > end and not self.business_hours_overnight:
            raise ValueError(
                "business_hours_start is after business_hours_end; for a window across midnight set "
                "business_hours_overnight: true"
            )
        if start < end and self.business_hours_overnight:
            raise ValueError("business_hours_overnight is for a window that starts before midnight and ends after it")
        return self

    @model_validator(mode="after")
    def _orders_are_sequential(self) -> Self:
        orders = [action.action_order for action in self.actions]
        if sorted(orders) != list(range(1, len(orders) + 1)):
            raise ValueError(f"action_order must be 1 to {len(orders)}, each once; found {orders}")
        return self

    @model_validator(mode="after")
    def _first_channel_action_is_unconditional(self) -> Self:
        for action in sorted(self.actions, key=lambda action: action.action_order):
            if action.action_type == "wait":
                continue
            if action.execute_condition != "always":
                raise ValueError(
                    f"action {action.action_order} is the first {action.action_type} and has no action before it "
                    f"whose result {action.execute_condition} could test; use always"
                )
            break
        return self
