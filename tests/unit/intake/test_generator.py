"""Generated leads are deterministic, fictional and as disorderly as promised."""

from pathlib import Path
from typing import Any

import phonenumbers

from engage_pipeline.intake.batch import RejectedRow
from engage_pipeline.intake.generator import AREA_CODES, write_generated_leads
from engage_pipeline.intake.reading import opened_reading


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for file, seed in zip(files, (7, 7, 8), strict=True):
        write_generated_leads(file, rows=300, seed=seed)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_every_area_code_gives_valid_american_numbers() -> None:
    assert len(set(AREA_CODES)) == 100
    for area in AREA_CODES:
        number = phonenumbers.parse(f"{area}5550100", "US")
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.region_code_for_number(number) == "US"


def test_generated_leads_have_the_promised_share_of_trouble(tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    write_generated_leads(file, rows=10_000, seed=3)
    leads: list[dict[str, Any]] = []
    rejected: list[RejectedRow] = []
    with opened_reading(file, {}, region="US", zone="UTC", lead_source_spellings={}) as reading:
        for _, cleaned in reading.batches():
            leads += cleaned.rows.to_pylist()
            rejected += cleaned.rejected
    phones = {lead["phone_e164"] for lead in leads} - {None}
    assert len(leads) + len(rejected) == 10_000
    assert 0.01 < len(rejected) / 10_000 < 0.03
    assert {row.reason_code for row in rejected} == {"wrong_field_count", "invalid_phone"}
    assert len(phones) > 8_000
    assert 0.01 < sum("ai_call" in lead["suppressed_channels"] for lead in leads) / 10_000 < 0.03
    assert any(lead["email"] is None for lead in leads)
