"""The asset `contacts` in a run of its job: its books, and the check of its reject rate."""

from pathlib import Path

import dagster as dg
import pytest

from assets.contacts import Upload
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.definitions import defs
from engage_pipeline.settings import load_settings


@pytest.fixture
def run_upload(database: str, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a text into the inbox and run the asset on it, as the sensor's run would."""
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path))
    load_settings.cache_clear()
    tenant = ensure_tenant(connection, "demo")
    (tmp_path / "inbox/demo").mkdir(parents=True)

    def run(text: str, *, attempt: int = 1) -> dg.ExecuteInProcessResult:
        (tmp_path / "inbox/demo/leads.csv").write_text(text, encoding="utf-8")
        row = connection.execute(
            "insert into lead_uploads (user_id, file_name, inbox_path) values (%s, 'leads.csv', 'demo/leads.csv')"
            " returning id",
            [tenant.user_id],
        ).fetchone()
        assert row is not None
        config = dg.RunConfig(ops={"contacts": Upload(upload_id=str(row[0]), attempt=attempt)})
        return defs.resolve_job_def("ingest_leads").execute_in_process(run_config=config)

    yield run
    load_settings.cache_clear()


@pytest.mark.parametrize(("bad_count", "passed"), [(0, True), (1, True), (2, False)])
def test_more_than_five_percent_of_rejected_rows_is_a_warning(run_upload, bad_count: int, passed: bool) -> None:
    rows = ["1,2"] * bad_count + [str(number) for number in range(20 - bad_count)]
    result = run_upload("Id\n" + "\n".join(rows) + "\n")
    (check,) = result.get_asset_check_evaluations()
    assert result.success
    assert (check.passed, check.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert check.metadata["reject_rate"].value == bad_count / 20


def test_an_upload_that_is_held_fails_the_check_and_shows_its_preview_masked(run_upload) -> None:
    result = run_upload("Id\n1\n2,3\n")
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["held"].value is True
    (loaded,) = run_upload("Id,Phone,Name\n1,212-555-0101,Ada\n").asset_materializations_for_node("contacts")
    [record] = loaded.metadata["preview"].records
    assert (record.data["name"], record.data["phone_e164"], record.data["external_id"]) == (
        "[name]", "[phone]", "[id]",
    )  # fmt: skip


def test_a_refused_file_and_a_superseded_run_raise_no_alarm(run_upload) -> None:
    (refused,) = run_upload("age\n58\n").get_asset_check_evaluations()
    (superseded,) = run_upload("Id\n1\n", attempt=9).get_asset_check_evaluations()
    assert refused.passed
    assert superseded.passed
