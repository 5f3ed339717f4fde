"""Trigger conditions as a person writes them: single tests, groups of them, and which operator fits which type."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from engage_pipeline.flows.storable import StorableText, storable
from engage_pipeline.flows.values import moments, plain_number

ConditionType = Literal[
    "lead_source", "entry_type", "custom_field", "tag", "email_domain", "phone_country", "created_at"
]
ConditionOperator = Literal[
    "equals", "not_equals", "contains", "any", "in", "not_in", "starts_with", "ends_with", "matches",
    "gt", "gte", "lt", "lte", "between", "before", "after", "within_last", "is_set", "is_not_set",
]  # fmt: skip
GroupKind = Literal["all", "any", "none"]
Scalar = str | int | float | bool

WITHOUT_VALUE = frozenset({"any", "is_set", "is_not_set"})
NUMBER_OPERATORS = frozenset({"gt", "gte", "lt", "lte"})
DATE_OPERATORS = frozenset({"before", "after", "within_last"})
LIST_OPERATORS = frozenset({"in", "not_in"})
TEXT_OPERATORS = frozenset({"equals", "not_equals", "contains", "starts_with", "ends_with", "matches"}) | LIST_OPERATORS

FITTING = {
    "custom_field": WITHOUT_VALUE | TEXT_OPERATORS | NUMBER_OPERATORS | DATE_OPERATORS | {"between"},
    "created_at": WITHOUT_VALUE | DATE_OPERATORS | {"between"},
}
FITTING_TEXT = WITHOUT_VALUE | TEXT_OPERATORS

LONGEST_LIST = 1_000
LONGEST_WINDOW_DAYS = 36_525  # a century
DEEPEST_GROUP = 16


def _single_or_list(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("condition_value is one text, number, true or false, or a list of them")
    if isinstance(value, list | tuple):
        if any(isinstance(each, dict | list | tuple) or each is None for each in value):
            raise ValueError("a list in condition_value holds texts, numbers, true and false")
        return tuple(storable(each) for each in value)
    return storable(value)


class TriggerCondition(BaseModel):
    """One test of a contact. `any`, `is_set` and `is_not_set` take no value; every other operator needs one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition_type: ConditionType
    condition_operator: ConditionOperator
    condition_value: Annotated[Scalar | tuple[Scalar, ...] | None, BeforeValidator(_single_or_list)] = None
    custom_field_name: StorableText | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.condition_type == "custom_field" and not (self.custom_field_name or "").strip():
            raise ValueError("custom_field_name is needed when condition_type is custom_field")
        if self.condition_type != "custom_field" and self.custom_field_name is not None:
            raise ValueError(f"custom_field_name goes only with condition_type custom_field, not {self.condition_type}")
        fitting = FITTING.get(self.condition_type, FITTING_TEXT)
        if self.condition_operator not in fitting:
            allowed = ", ".join(sorted(fitting))
            raise ValueError(f"{self.condition_operator} does not fit {self.condition_type}; use one of: {allowed}")
        self._check_value()
        return self

    def _check_value(self) -> None:
        operator, value = self.condition_operator, self.condition_value
        if operator in WITHOUT_VALUE:
            if value is not None:
                holds = "any holds for every contact and" if operator == "any" else operator
                raise ValueError(f"{holds} takes no condition_value")
            return
        if value is None:
            raise ValueError(f"condition_value is needed for {operator}")
        if operator in LIST_OPERATORS or operator == "between":
            _check_list(operator, value)
            if self.condition_type == "created_at" and moments(text_of(cast("tuple[Scalar, ...]", value)[0])) is None:
                raise ValueError("between needs two dates for created_at")
        elif isinstance(value, tuple):
            raise ValueError(
                "condition_value is one text, number, true or false; a list goes only with in, not_in and between"
            )
        elif operator == "matches":
            _check_pattern(value)
        elif operator in NUMBER_OPERATORS and number_of(value) is None:
            raise ValueError(f"{operator} needs a number, such as 5 or 5.5")
        elif operator == "within_last":
            days = number_of(value)
            if days is None or not 0 < days <= LONGEST_WINDOW_DAYS:
                raise ValueError(f"within_last needs a number of days, above 0 and at most {LONGEST_WINDOW_DAYS}")
        elif operator in DATE_OPERATORS and moments(text_of(value)) is None:
            raise ValueError(f"{operator} needs a date, such as 2026-05-01, 2026-05-01T09:30Z or 1 May 2026")


def text_of(value: Scalar) -> str:
    """A condition's value as a text: a boolean as true or false, a number without an exponent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # The shortest digits that give the same float back, as JSON has them.
        return format(Decimal(repr(value)), "f")
    return str(value)


def number_of(value: Scalar) -> Decimal | None:
    """The number that a condition's value is; None for a text that is none, and for true and false."""
    return None if isinstance(value, bool) else plain_number(text_of(value))


def _check_list(operator: str, value: Scalar | tuple[Scalar, ...]) -> None:
    if not isinstance(value, tuple):
        raise ValueError(f"{operator} needs a list in condition_value, such as [a, b]")
    if operator != "between":
        if not 1 <= len(value) <= LONGEST_LIST:
            raise ValueError(f"{operator} needs 1 to {LONGEST_LIST} values")
        return
    if len(value) != 2:
        raise ValueError("between needs two values, the lower one first")
    lower, upper = value
    numbers, dates = (number_of(lower), number_of(upper)), (moments(text_of(lower)), moments(text_of(upper)))
    if numbers[0] is not None and numbers[1] is not None:
        is_empty = numbers[0] > numbers[1]
    elif dates[0] is not None and dates[1] is not None:
        is_empty = dates[0][0] > dates[1][1]
    else:
        raise ValueError("between needs two numbers or two dates")
    if is_empty:
        raise ValueError("between needs the lower value first")


def _check_pattern(value: Scalar) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(value, str) or not value:
        raise ValueError("matches needs a regular expression as text; put it in quotes")
    try:
        # The same RE2 that matching runs, so what is accepted here compiles there.
        pc.match_substring_regex(pa.array([""]), value, ignore_case=True)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{str(error)[:200]} (RE2 syntax: no look-around, no back-references)") from error


class ConditionGroup(BaseModel):
    """Conditions taken together: `all` must hold, `any` one must, or `none` may. Exactly one of the three is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    all: "tuple[ConditionNode, ...] | None" = None
    any: "tuple[ConditionNode, ...] | None" = None
    none: "tuple[ConditionNode, ...] | None" = None

    @property
    def kind(self) -> GroupKind:
        """all, any or none."""
        return "all" if self.all is not None else "any" if self.any is not None else "none"

    @property
    def conditions(self) -> "tuple[ConditionNode, ...]":
        """What is in the group, in the order written."""
        return cast("tuple[ConditionNode, ...]", getattr(self, self.kind))

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("all", "any", "none") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a group is one of all, any and none; nest one in another to combine them")
        if not self.conditions:
            raise ValueError(f"a group needs at least one condition; {given[0]} has none")
        return self

    @model_serializer(mode="wrap")
    def _only_its_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


CONDITION_TAG, GROUP_TAG = "<condition>", "<group>"


def _condition_or_group(value: Any) -> str:
    if isinstance(value, dict):
        return GROUP_TAG if value.keys() & {"all", "any", "none"} else CONDITION_TAG
    return GROUP_TAG if isinstance(value, ConditionGroup) else CONDITION_TAG


ConditionNode = Annotated[
    Annotated[TriggerCondition, Tag(CONDITION_TAG)] | Annotated[ConditionGroup, Tag(GROUP_TAG)],
    Discriminator(_condition_or_group),
]
ConditionGroup.model_rebuild()


def _not_too_deep(value: Any) -> Any:
    level = list(value) if isinstance(value, list | tuple) else []
    for _ in range(DEEPEST_GROUP + 1):
        level = [inner for node in level for inner in _inside(node)]
        if not level:
            return value
    raise ValueError(f"groups are nested more than {DEEPEST_GROUP} deep")


def _inside(node: Any) -> Iterator[Any]:
    if isinstance(node, ConditionGroup):
        yield from node.conditions
    elif isinstance(node, dict):
        for kind in ("all", "any", "none"):
            inner = node.get(kind)
            if isinstance(inner, list | tuple):
                yield from inner


TriggerConditions = Annotated[tuple[ConditionNode, ...], BeforeValidator(_not_too_deep)]


def single_conditions(nodes: Sequence[TriggerCondition | ConditionGroup]) -> Iterator[TriggerCondition]:
    """The conditions within the groups, in the order written."""
    for node in nodes:
        if isinstance(node, ConditionGroup):
            yield from single_conditions(node.conditions)
        else:
            yield node
