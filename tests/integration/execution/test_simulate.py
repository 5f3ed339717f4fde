"""The simulation agrees with the engine: the same contacts, flows and seeded answers end in the same logs."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from typer.testing import CliRunner

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.registry import sandbox_channels
from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.cli.app import app
from engage_pipeline.clock import utc_now
from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS
from engage_pipeline.execution.outcomes import record_outcomes
from engage_pipeline.execution.provider_model import ProviderModel
from engage_pipeline.execution.simulate import recent_contacts, simulate
from engage_pipeline.settings import load_settings
from tests.integration.ledger_world import World, flow_of

SHARES = {"seed": 3, "refused_share": 0.15, "deferred_share": 0.2, "opt_out_share": 0.1, "bounced_share": 0.2}
FLOW = flow_of(
    "ai_call",
    ("whatsapp_message", "if_previous_failed"),
    "wait",
    "email",
    ("email", "if_previous_failed"),
    ("whatsapp_message", "if_previous_success"),
)


@pytest.fixture
def reporting(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose providers tell later what became of a message."""
    monkeypatch.setattr(World, "channel", lambda self, action_type: sandbox_channels(self.sandbox.url)[action_type])
    world.sandbox.behave(**SHARES)
    world.apply(FLOW)
    for number in range(40):
        missing = {0: {"phone_e164": None}, 1: {"email": None}}.get(number % 10, {})
        world.contact(**missing)
    return world


def forecast(world: World, start: datetime):
    contacts = recent_contacts(world.connection, world.tenant, days=1, now=start)
    return simulate(world.connection, world.tenant, contacts, Behaviour(latency_ms=0, **SHARES), start=start)


async def run_to_the_end(world: World) -> None:
    """The engine, with the outcomes that the same seed draws for what was accepted."""
    model, told = ProviderModel(Behaviour(latency_ms=0, **SHARES)), set()
    for _ in range(30):
        await world.settle()
        addresses = {
            row[0]: {"phone_e164": row[1], "email": row[2]}
            for row in world.connection.execute(
                "select executions.id, phone_e164, email from flow_executions as executions"
                " inner join contacts on contacts.id = executions.contact_id"
            )
        }
        accepted = [log for log in world.logs() if log.provider_message_id and log.id not in told]
        for log in sorted(accepted, key=lambda log: log.executed_at):
            told.add(log.id)
            address = addresses[log.execution_id][ADDRESS_COLUMNS[log.action_type]]
            for at, outcome in model.send(log.action_type, address, at=log.executed_at).outcomes:
                is_no = outcome in ("opted_out", "complained")
                event = ProviderOutcome("any", None, log.id, outcome, at, is_opt_out=is_no)
                record_outcomes(world.connection, [event], now=utc_now())
        if all(status in ("success", "failed", "skipped") for status in world.statuses()):
            return
        world.pass_time(minutes=61)
    raise AssertionError(f"the engine did not come to an end: {world.statuses()}")


async def test_the_simulation_agrees_with_the_engine_run_to_its_end(reporting):
    start = utc_now()
    expected = forecast(reporting, start)
    await run_to_the_end(reporting)
    rows = reporting.connection.execute(
        "select contact_id::text, action_order, action_type, logs.status, skip_reason, outcome from flow_action_logs"
        " as logs inner join flow_executions as executions on executions.id = logs.execution_id"
    ).fetchall()
    names = ["contact_id", "action_order", "action_type", "status", "skip_reason", "outcome"]
    simulated = expected.steps[names].astype(object).where(expected.steps[names].notna(), None)
    assert sorted(map(tuple, simulated.to_numpy().tolist()), key=repr) == sorted(rows, key=repr)
    ends = reporting.connection.execute("select status, count(*) from flow_executions group by status").fetchall()
    by_status = pd.Series({key[1]: 0 for key in expected.executions}, dtype=int)
    for (_, status), count in expected.executions.items():
        by_status[status] += count
    assert by_status.to_dict() == dict(ends)


def test_a_simulation_writes_nothing_and_sends_nothing(reporting):
    tables = ("contacts", "flow_assignments", "flow_executions", "flow_action_logs", "micro_batches", "suppressions")
    before = [reporting.connection.execute(f"select count(*) from {table}").fetchone() for table in tables]
    assert forecast(reporting, utc_now()).contact_count == 40
    assert [reporting.connection.execute(f"select count(*) from {table}").fetchone() for table in tables] == before
    assert reporting.effects() == []


def test_another_seed_draws_other_answers_and_the_same_seed_the_same(reporting):
    start = utc_now()
    once, again = forecast(reporting, start).steps, forecast(reporting, start).steps
    pd.testing.assert_frame_equal(once, again)


def test_hours_and_waits_pass_on_the_virtual_clock(world):
    hours = {
        "use_custom_business_hours": True,
        "business_hours_start": "09:00",
        "business_hours_end": "17:00",
        "business_hours_timezone": "America/New_York",
    }
    world.apply(flow_of("email", "wait", "email", **hours))
    world.contact()
    contacts = recent_contacts(world.connection, world.tenant, days=1, now=utc_now())
    # A Friday, 16:30 in New York: the second e-mail would come at 17:30, and waits for Saturday's window.
    start = datetime(2026, 7, 10, 20, 30, tzinfo=UTC)
    behaviour = Behaviour(refused_share=0, deferred_share=0, bounced_share=0)
    steps = simulate(world.connection, world.tenant, contacts, behaviour, start=start).steps
    sent = steps.loc[steps["action_type"].eq("email"), "executed_at"].tolist()
    assert sent == [pd.Timestamp(start), pd.Timestamp(datetime(2026, 7, 11, 13, 0, tzinfo=UTC))]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_reads_a_file_without_keeping_it_and_exports(world, tmp_path, monkeypatch, suffix):
    for name, value in {"HOME": str(tmp_path / "engage"), "DATABASE_URL": world.url}.items():
        monkeypatch.setenv(f"ENGAGE_{name}", value)
    load_settings.cache_clear()
    world.apply(flow_of("email"))
    leads = tmp_path / "leads.csv"
    leads.write_text("First Name,Email\n" + "".join(f"Lead,lead{number}@example.com\n" for number in range(50)))
    export = tmp_path / f"forecast{suffix}"
    try:
        result = CliRunner().invoke(app, ["simulate", str(leads), "-o", str(export), "--json"])
    finally:
        load_settings.cache_clear()
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["contacts"] == 50
    exported = pd.read_csv(export) if suffix == ".csv" else pd.read_parquet(export)
    assert len(exported) == sum(row["actions"] for row in printed["actions"]) == 50
    assert world.connection.execute(
        "select (select count(*) from contacts), (select count(*) from lead_uploads)"
    ).fetchone() == (0, 0)
    assert timedelta(0) <= utc_now() - datetime.fromisoformat(printed["calls_an_hour"][0]["hour"])
