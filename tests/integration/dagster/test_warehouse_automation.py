"""The warehouse is refreshed for every batch that was finished, however the ticks fall."""

import dagster as dg
import pytest

from engage_pipeline.definitions import defs

SOURCES = ["contacts", "flow_assignments", "flow_executions", "flow_action_logs"]


class Automation:
    """The automation sensor's ticks on an instance of their own, with materializations between them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor = None
        self.models = [spec.key for spec in defs.resolve_all_asset_specs() if spec.group_name == "warehouse"]

    def write(self, *names: str) -> None:
        for name in names:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(name))

    def publish(self) -> None:
        """What a warehouse run reports when it is done."""
        for key in self.models:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key))

    def tick_requests(self) -> bool:
        result = dg.evaluate_automation_conditions(defs=defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        requested = {key for key in self.models if result.get_num_requested(key)}
        assert requested in (set(), set(self.models)), "the models are built together or not at all"
        return bool(requested)


@pytest.fixture
def automation():
    with dg.DagsterInstance.ephemeral() as instance:
        started = Automation(instance)
        started.tick_requests()
        yield started


@pytest.mark.parametrize("source", SOURCES[2:])
def test_a_written_table_asks_for_a_refresh_once(automation, source):
    automation.write(source)
    assert automation.tick_requests()
    automation.publish()
    assert not automation.tick_requests()
    assert not automation.tick_requests()


def test_a_batch_that_ends_between_the_snapshot_and_the_next_tick_is_not_forgotten(automation):
    automation.write("flow_action_logs")
    assert automation.tick_requests()
    automation.publish()
    automation.write("flow_action_logs")
    assert automation.tick_requests()


def test_a_batch_that_ends_after_the_request_and_before_the_build_is_published_again(automation):
    automation.write("flow_action_logs")
    assert automation.tick_requests()
    automation.write("flow_action_logs")
    automation.publish()
    assert automation.tick_requests()
    automation.publish()
    assert not automation.tick_requests()


def test_a_failed_check_of_the_warehouse_does_not_end_its_refreshing(automation):
    automation.write("flow_action_logs")
    assert automation.tick_requests()
    automation.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("stg_flow_action_logs"),
            check_name="balances_with_postgresql",
            passed=False,
            blocking=True,
        )
    )
    automation.write("flow_action_logs")
    assert automation.tick_requests()


def test_nothing_is_refreshed_while_nothing_is_written(automation):
    assert not any(automation.tick_requests() for _ in range(3))
