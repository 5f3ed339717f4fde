"""A flow as a person writes it, with the client's field names, and the rules that hold within one flow."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engage_pipeline.flows.conditions import TriggerConditions
from engage_pipeline.flows.hours import WEEKDAYS, ClockTime, HoursWindow, WeeklyHours, check_hours_zone
from engage_pipeline.flows.storable import StorableText, storable

ActionType = Literal["ai_call", "whatsapp_message", "email", "wait"]
ExecuteCondition = Literal["always", "if_previous_success", "if_previous_failed", "if_previous_outcome"]
FinalOutcome = Literal[
    "delivered", "opened", "read", "answered", "no_answer", "busy", "voicemail",
    "refused", "failed", "bounced", "complained", "opted_out", "expired",
]  # fmt: skip

REQUIRED_CONFIG: dict[ActionType, tuple[str, ...]] = {
    "ai_call": ("agent_id", "phone_number_id"),
    "whatsapp_message": ("template_id",),
    "email": ("template_id",),
    "wait": (),
}

WAIT_KEYS = ("duration_minutes", "until_time", "until_weekday")

LONGEST_WAIT_MINUTES = 525_600  # a year
LONGEST_OUTCOME_TIMEOUT_MINUTES = 43_200  # thirty days
DEFAULT_EXPIRES_AFTER_MINUTES = 10_080  # a week
LONGEST_REENTRY_DAYS = 36_525  # a century
LARGEST_PRIORITY = 2**31 - 1  # the column's type, integer


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Action(_Strict):
    """One step of a flow."""

    action_order: Annotated[int, Field(strict=True, gt=0)]
    action_type: ActionType
    action_config: Annotated[dict[str, Any], BeforeValidator(storable), Field(validate_default=True)] = {}
    execute_condition: ExecuteCondition = "always"
    if_previous_outcome: tuple[FinalOutcome, ...] = ()
    outcome_timeout_minutes: Annotated[int, Field(strict=True, gt=0, le=LONGEST_OUTCOME_TIMEOUT_MINUTES)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _outcomes_are_a_condition(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("if_previous_outcome") and "execute_condition" not in value:
            return {**value, "execute_condition": "if_previous_outcome"}
        return value

    @model_validator(mode="after")
    def _condition_is_whole(self) -> Self:
        if (self.execute_condition == "if_previous_outcome") != bool(self.if_previous_outcome):
            raise ValueError(
                "if_previous_outcome lists the outcomes that it wants, and stands with no other execute_condition"
            )
        if self.outcome_timeout_minutes is not None and self.action_type == "wait":
            raise ValueError("outcome_timeout_minutes is for a call, message or e-mail; a wait has no outcome")
        return self

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
            _check_wait(value)
        else:
            for key in REQUIRED_CONFIG[action_type]:
                _check_text(key, value[key])
            _check_variables(value.get("variables", []))
        return value


def _check_wait(config: dict[str, Any]) -> None:
    """A wait lasts so many minutes, or until a time of day, a weekday, or both."""
    lasts = config.get("duration_minutes") is not None
    until_time, until_weekday = config.get("until_time"), config.get("until_weekday")
    if lasts == (until_time is not None or until_weekday is not None):
        raise ValueError("wait needs duration_minutes, or until_time, until_weekday or both")
    if lasts:
        _check_duration(config["duration_minutes"])
    if until_time is not None and not (
        isinstance(until_time, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", until_time)
    ):
        raise ValueError("until_time is written 'HH:mm' in quotes, from '00:00' to '23:59'")
    if until_weekday is not None and until_weekday not in WEEKDAYS:
        raise ValueError(f"until_weekday is one of {', '.join(WEEKDAYS)}")
    if config.get("until_zone", "flow") not in ("flow", "contact"):
        raise ValueError("until_zone is flow or contact")


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
    business_hours: WeeklyHours | None = None
    outside_business_hours: Literal["defer", "skip"] = "defer"
    expires_after_minutes: Annotated[int, Field(strict=True, gt=0)] | None = DEFAULT_EXPIRES_AFTER_MINUTES
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
        return check_hours_zone(value)

    @model_validator(mode="after")
    def _hours_make_a_window(self) -> Self:
        if not self.use_custom_business_hours:
            return self
        start, end = self.business_hours_start, self.business_hours_end
        if self.business_hours is not None:
            if (start, end, self.business_hours_timezone) != (None, None, None):
                raise ValueError(
                    "business_hours has windows and a time_zone of its own; take business_hours_start, "
                    "business_hours_end and business_hours_timezone away, or business_hours"
                )
            return self
        if start is None or end is None or self.business_hours_timezone is None:
            raise ValueError(
                "use_custom_business_hours needs business_hours, or business_hours_start, business_hours_end and "
                "business_hours_timezone"
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

    @property
    def custom_hours(self) -> WeeklyHours | None:
        """The flow's own hours, however they are written; None when those of its tenant apply."""
        if not self.use_custom_business_hours or self.business_hours is not None:
            return self.business_hours if self.use_custom_business_hours else None
        start, end, zone = self.business_hours_start, self.business_hours_end, self.business_hours_timezone
        if start is None or end is None or zone is None:
            raise ValueError("a validated flow with custom business hours has a start, an end and a zone")
        return WeeklyHours(time_zone=zone, windows=(HoursWindow(start=start, end=end),))

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
