"""The job that clears what is older than its days, and the schedule that asks for it."""

import dagster as dg

from engage_pipeline.definitions import defs
from tests.integration.dagster.conftest import House


def test_the_job_clears_and_says_how_much(house: House) -> None:
    file = house.settings.processed / "acme" / "leads.csv"
    file.parent.mkdir(parents=True)
    file.write_text("Email\nben@example.com\n")
    result = defs.resolve_job_def("apply_retention").execute_in_process(instance=house.instance)
    assert result.success and file.exists()
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert output.metadata["file_count"].value == 0


def test_it_is_asked_for_every_night() -> None:
    schedule = defs.get_repository_def().get_schedule_def("daily_retention")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "30 3 * * *"
