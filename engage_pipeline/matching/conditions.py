"""Trigger conditions as vectorised predicates: each is evaluated once per distinct value, not once per row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from engage_pipeline.flows.model import TriggerCondition
from engage_pipeline.matching.values import comparable, folded_text

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One attribute of a frame of contacts: a code per row into its distinct values; code -1 is missing."""

    codes: npt.NDArray[np.intp]
    values: tuple[object, ...]

    @classmethod
    def of(cls, series: "pd.Series[str]") -> "Column":
        """The column of a series of text with nulls."""
        codes, uniques = pd.factorize(series, use_na_sentinel=True)
        return cls(codes, tuple(uniques))

    def where(self, holds: Callable[[object], bool], *, missing: bool) -> Mask:
        """One boolean a row: `holds` of its value, `missing` for a row without one."""
        # The last place is where code -1 points.
        verdicts = np.fromiter((*map(holds, self.values), missing), dtype=np.bool_, count=len(self.values) + 1)
        return verdicts[self.codes]


def column_key(condition: TriggerCondition) -> str:
    """Name of the contact attribute that the condition reads; custom fields have a prefix of their own."""
    if condition.condition_type == "custom_field":
        return f"custom_field:{condition.custom_field_name}"
    return condition.condition_type


def custom_field_names(conditions: Iterable[TriggerCondition]) -> list[str]:
    """The custom fields that the conditions read, each once, sorted."""
    return sorted({condition.custom_field_name for condition in conditions if condition.custom_field_name})


def holds_for(condition: TriggerCondition, column: Column) -> Mask:
    """Where the condition is true. A missing value (null or blank) satisfies not_equals and any, nothing else."""
    match condition.condition_operator:
        case "any":
            return np.ones(len(column.codes), dtype=np.bool_)
        case "equals":
            wanted = comparable(_text(condition.condition_value))
            return column.where(lambda value: comparable(value) == wanted and wanted is not None, missing=False)
        case "not_equals":
            unwanted = comparable(_text(condition.condition_value))
            return column.where(lambda value: comparable(value) is None or comparable(value) != unwanted, missing=True)
        case "contains":
            part = folded_text(_text(condition.condition_value))
            return column.where(lambda value: part is not None and part in (folded_text(value) or ""), missing=False)


def _text(value: str | float | bool | None) -> str | None:
    """A condition's value as JSON would write it, which is how a contact's custom field arrives."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
