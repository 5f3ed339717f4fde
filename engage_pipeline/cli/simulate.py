"""`engage simulate`: what would become of a file's leads, or of the contacts of the last days. Writes nothing."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.cli.flows import OfTenant, _one_tenant
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.migrate import migrate
from engage_pipeline.settings import load_settings

if TYPE_CHECKING:
    from engage_pipeline.execution.simulate import Forecast

out = Console(highlight=False)

_SUFFIXES = (".csv", ".parquet")


def _exportable(path: Path | None) -> Path | None:
    if path is not None and path.suffix not in _SUFFIXES:
        raise typer.BadParameter("the name of the export ends in .csv or .parquet")
    return path


Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", callback=_exportable, help="Export every action, addresses too: .csv or .parquet."),
]


def simulate(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="A lead file.")] = None,
    recent: Annotated[int | None, typer.Option(min=1, max=3650, help="The contacts of so many last days.")] = None,
    tenant: OfTenant = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other answers of the providers.")] = 1,
    behaviour: Annotated[
        Path | None, typer.Option(exists=True, help="JSON file with the providers' shares, as for engage sandbox.")
    ] = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say who would get what and when, how many calls an hour that makes, and what it would cost. Writes nothing.

    Example: engage simulate leads.csv -o forecast.parquet
    """
    from dataclasses import replace

    from engage_pipeline.channels.sandbox.behaviour import Behaviour, load_behaviour
    from engage_pipeline.execution.simulate import arrived_contacts, recent_contacts
    from engage_pipeline.execution.simulate import simulate as forecast_of
    from engage_pipeline.intake.load import READ_SECONDS
    from engage_pipeline.intake.trial import trial_load

    if (file is None) == (recent is None):
        raise typer.BadParameter("name a file, or --recent DAYS")
    model = replace(load_behaviour(behaviour) if behaviour else Behaviour(), seed=seed)
    settings = load_settings()
    url = database_url(settings)
    migrate(url)
    now = utc_now()
    with connect(url, idle_seconds=READ_SECONDS) as connection:
        owner = _one_tenant(connection, tenant)
        if file is None:
            contacts = recent_contacts(connection, owner, days=recent or 0, now=now)
        else:
            with trial_load(connection, file, owner, settings, now=now):
                contacts = arrived_contacts(connection, owner, arrived_at=now)
        forecast = forecast_of(connection, owner, contacts, model, start=now)
    if output is not None:
        _export(forecast, output)
    if as_json:
        json.dump(forecast.as_dict(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    _show(forecast)


def _export(forecast: "Forecast", path: Path) -> None:
    if path.suffix == ".parquet":
        forecast.steps.to_parquet(path, index=False)
    else:
        forecast.steps.to_csv(path, index=False)


def _show(forecast: "Forecast") -> None:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(forecast.reasons.items()))
    out.print(f"[bold]{forecast.contact_count:,} contacts[/]: {reasons or 'none is new'}")
    ends = Table("flow", "ends as", "contacts")
    for (flow, status), count in sorted(forecast.executions.items()):
        ends.add_row(flow, status, f"{count:,}")
    actions = Table("action", "status", "result", "actions")
    for row in forecast.action_counts().itertuples(index=False):
        actions.add_row(row.action_type, row.status, row.result, f"{row.actions:,}")
    hours = forecast.calls_an_hour()
    busy = Table("hour (UTC)", *hours.columns)
    for hour, row in hours.head(24).iterrows():
        busy.add_row(f"{hour:%Y-%m-%d %H:00}", *(f"{count:,}" for count in row))
    for table in (ends, actions, busy):
        if table.row_count:
            out.print(table)
    if len(hours) > 24:
        out.print(f"and {len(hours) - 24} hours more, until {hours.index[-1]:%Y-%m-%d %H:00} UTC")
    cost = forecast.cost_cents()
    parts = ", ".join(f"{name} {cents / 100:,.2f}" for name, cents in cost.items())
    out.print(f"Estimated cost: {cost.sum() / 100:,.2f} US dollars ({parts})")
