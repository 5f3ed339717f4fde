"""The columns of one Arrow batch of contacts as matching reads them: dictionary codes, or instants for created_at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engage_pipeline.matching.attributes import Attribute

Codes = npt.NDArray[np.int64]
Instants = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Digits that a 64-bit float keeps apart: within them, comparing floats is comparing decimals.
EXACT_LENGTH = 15
_COLUMNS = {"tag": "tags", "phone_country": "phone_e164"}


@dataclass(frozen=True)
class Encoded:
    """A code per row into the distinct raw values; the code after the last one is missing."""

    codes: Codes
    distinct: pa.Array


@dataclass
class ContactColumns:
    """One batch, each attribute encoded when it is first asked for.

    Attributes:
        batch: contact_id, user_id, is_dnc, lead_source, entry_type, tags (JSON list), email_domain, phone_e164,
            created_at (timestamp in microseconds, UTC), custom_fields (list of JSON texts), and the columns
            `can_<channel>_address` and `can_<channel>`.
        custom_field_names: which custom field stands at which place of the lists.
        now: microseconds since 1970 when the batch was formed.
    """

    batch: pa.RecordBatch
    custom_field_names: Sequence[str]
    now: int
    _encoded: dict[Attribute, Encoded] = field(default_factory=dict)
    _numbers: dict[Attribute, Floats | None] = field(default_factory=dict)
    _fields: pa.Array | None = None

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def encoded(self, attribute: Attribute) -> Encoded:
        """The attribute's codes and distinct values."""
        if attribute not in self._encoded:
            self._encoded[attribute] = _encode(self._raw(attribute))
        return self._encoded[attribute]

    def numbers(self, attribute: Attribute) -> Floats | None:
        """The custom field as floats, NaN where it is missing; None unless every value is a short JSON number."""
        if attribute not in self._numbers:
            self._numbers[attribute] = _short_numbers(self._raw(attribute))
        return self._numbers[attribute]

    def created_at(self) -> Instants:
        """Microseconds since 1970, one a row; a contact without an instant does not occur."""
        column = self.batch.column("created_at").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """A boolean column."""
        return np.asarray(self.batch.column(name).to_numpy(zero_copy_only=False), dtype=np.bool_)

    def user_codes(self, offsets: Mapping[str, int]) -> npt.NDArray[np.int64]:
        """For each row, the value that `offsets` has for its user_id; -1 for a tenant that is not there."""
        encoded = _encode(self.batch.column("user_id"))
        found = [offsets.get(user_id, -1) for user_id in encoded.distinct.to_pylist()]
        return np.array([*found, -1], dtype=np.int64)[encoded.codes]

    def _raw(self, attribute: Attribute) -> pa.Array:
        if attribute.condition_type != "custom_field":
            return self.batch.column(_COLUMNS.get(attribute.condition_type, attribute.condition_type))
        if self._fields is None:
            self._fields = self.batch.column("custom_fields").flatten()
        width = len(self.custom_field_names)
        place = self.custom_field_names.index(attribute.custom_field_name or "")
        return self._fields.take(pa.array(np.arange(place, width * len(self), width)))


def _short_numbers(raw: Any) -> Floats | None:
    """As `ContactColumns.numbers`; an exponent may reach beyond what a float holds, and is not taken."""
    longest = pc.max(pc.binary_length(raw)).as_py() or 0
    if longest > EXACT_LENGTH or raw.null_count == len(raw):
        return None
    letters = np.frombuffer(raw.buffers()[2], dtype=np.uint8) | 0x20
    if (letters == ord("e")).any():
        return None
    try:
        floats: Floats = raw.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    # JSON has neither NaN nor infinity, but DuckDB lets them through.
    return floats if np.isfinite(floats).sum() == len(raw) - raw.null_count else None


def _encode(raw: Any) -> Encoded:
    encoded = raw.dictionary_encode()
    codes = pc.fill_null(encoded.indices, len(encoded.dictionary))
    return Encoded(codes.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary)
