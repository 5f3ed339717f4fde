"""What the cleaners of whole columns share. Knows nothing of what the texts mean."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def matches(texts: pa.StringArray, pattern: str) -> Mask:
    """Which of the texts, none of them null, RE2 finds `pattern` in."""
    found: Mask = pc.match_substring_regex(texts, pattern=pattern).to_numpy(zero_copy_only=False)
    return found


def picked(texts: pa.StringArray, indices: Indices) -> pa.StringArray:
    """The texts at these positions."""
    return texts.take(pa.array(indices))


def each_distinct(texts: pa.StringArray, clean: Callable[[str], str | None]) -> pa.StringArray:
    """`clean` of every text, called once for each distinct one; null where it says None, or the text is null."""
    encoded = pc.dictionary_encode(texts)
    answers = pa.array([clean(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return answers.take(encoded.indices)


def in_place(row_count: int, answers: list[tuple[Indices, pa.StringArray]]) -> pa.StringArray:
    """A column from answers and their positions in it; null where there is none."""
    values = pa.concat_arrays([pa.array([], pa.string()), *(values for _, values in answers)])
    where = np.full(row_count, -1, np.int64)
    if answers:
        where[np.concatenate([indices for indices, _ in answers])] = np.arange(len(values))
    return values.take(pa.array(where, mask=where < 0))
