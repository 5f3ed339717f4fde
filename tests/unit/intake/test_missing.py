"""Cells that say nothing."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake.missing import is_missing, missing


@pytest.mark.parametrize("text", ["", "  ", "Select", "SELECT", "unknown", "Unknown ", "N/A", "n/a", "-", "\u00a0"])
def test_what_forms_and_exports_write_for_nothing(text: str) -> None:
    assert is_missing(text)


@given(st.lists(st.text(max_size=8) | st.sampled_from(["Select", " n/A", "-", "--", "Unknown\n", "ſelect", "unKnown"])))
def test_a_column_is_its_texts_one_by_one(texts: list[str]) -> None:
    assert missing(pa.array(texts, pa.string())).to_pylist() == [is_missing(text) for text in texts]
