"""A flow as a person writes it, with the client's field names, and the rules that hold within one flow."""

import re
from datetime import time
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engage_pipeline.flows.conditions import TriggerConditions
from engage_pipeline.flows.storable import StorableText, storable

ActionType = Literal["ai_call", "whatsapp_message", "email", "wait"]
ExecuteCondition = Literal["always", "if_previous_success", "if_previous_failed"]

REQUIRED_CONFIG: dict[ActionType, tuple[str, ...]] = {
    "ai_call": ("agent_id", "phone_number_id"),
    "whatsapp_message": ("template_id",),
    "email": ("template_id",),
    "wait": ("duration_minutes",),
}

LONGEST_WAIT_MINUTES = 525_600  # a year
LONGEST_REENTRY_DAYS = 36_525  # a century
LARGEST_PRIORITY = 2**31 - 1  # the column's type, integer


def _hours_and_minutes(value: object) -> object:
    """`HH:mm` and nothing else. YAML 1.1 reads an unquoted 09:30 as the number 570 (base 60), which is refused with a
    hint."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return time(int(value[:2]), int(value[3:]))
    hint = " (put the time in quotes)" if isinstance(value, int | float) else ""
    raise ValueError(f"a time is written 'HH:mm', from '00:00' to '23:59'{hint}")


ClockTime = Annotated[
    time, BeforeValidator(_hours_and_minutes), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_time_zone(value: str | None) -> str | None:
    """`value`, if it is None or an IANA time zone; raises ValueError otherwise."""
    if value is not None and value not in _time_zones():
        raise ValueError("an IANA time zone is needed, such as America/New_York or Asia/Kolkata")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Action(_Strict):
    """One step of a flow."""

    action_order: Annotated[int, Field(strict=True, gt=0)]
    action_type: ActionType
    action_config: Annotated[dict[str, Any], BeforeValidator(storable), Field(validate_default=True)] = {}
    execute_condition: ExecuteCondition = "always"

    @field_validator("action_config")
    @classmethod
    def _configured(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        action_type = info.data.get("action_type")
        if action_type is None:
            return value
        missing = [key for key in REQUIRED_CONFIG[action_type] if value.get(key) in (None, "")]
        if missing:
            raise ValueError(f"{action_type} needs {', '.join(missing)}")
        if action_type == "wait":
            _check_duration(value["duration_minutes"])
        else:
            for key in REQUIRED_CONFIG[action_type]:
                _check_text(key, value[key])
            _check_variables(value.get("variables", []))
        return value


def _check_duration(minutes: object) -> None:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise ValueError("duration_minutes is a number")
    if not 0 < minutes <= LONGEST_WAIT_MINUTES:
        raise ValueError(f"duration_minutes is above 0 and at most {LONGEST_WAIT_MINUTES} (a year)")


def _check_variables(variables: object) -> None:
    if not isinstance(variables, list) or not all(isinstance(name, str) for name in variables):
        raise ValueError("variables is a list of field names, such as [first_name, company]")


def _check_text(key: str, value: object) -> None:
    # YAML reads an unquoted +12025550100 as a number and loses the plus.
    if not isinstance(value, str):
        raise ValueError(f"{key} is text; put it in quotes")
    if not value.strip():
        raise ValueError(f"{key} is blank")


class Flow(_Strict):
    """A flow of one tenant: who it is for, when it may act, and what it does."""

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), BeforeValidator(storable)
    ]
    description: StorableText | None = None
    priority: Annotated[int, Field(strict=True, ge=0, le=LARGEST_PRIORITY)]
    is_enabled: StrictBool = True
    use_custom_business_hours: StrictBool = False
    business_hours_start: ClockTime | None = None
    business_hours_end: ClockTime | None = None
    business_hours_timezone: str | None = None
    business_hours_overnight: StrictBool = False
    reentry_after_days: Annotated[int, Field(strict=True, gt=0, le=LONGEST_REENTRY_DAYS)] | None = None
    trigger_conditions: TriggerConditions = ()
    actions: tuple[Action, ...]

    @field_validator("actions")
    @classmethod
    def _does_something(cls, value: tuple[Action, ...]) -> tuple[Action, ...]:
        if not value:
            raise ValueError("a flow needs at least one action")
        return value

    @field_validator("business_hours_timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return check_time_zone(value)

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
    def _conditions_have_a_result_to_test(self) -> Self:
        for action in sorted(self.actions, key=lambda action: action.action_order):
            if action.execute_condition != "always":
                raise ValueError(
                    f"action {action.action_order} has no call, message or e-mail before it whose result "
                    f"{action.execute_condition} could test; use always"
                )
            if action.action_type != "wait":
                break
        return self
