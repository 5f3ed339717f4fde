"""The fictional lead files of `tests/fixtures/leads`, one in the shape of each system's own."""

from pathlib import Path

LEADS = Path(__file__).parents[2] / "fixtures" / "leads"
