"""`engage flows`: check files of flows, put them in force, and look at what is in force."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.cli.flow_views import lint_lines, plan_lines
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection, connect, database_url
from engage_pipeline.database.migrate import migrate
from engage_pipeline.database.tenants import Tenant, find_tenant, list_tenants
from engage_pipeline.execution.cancel import cancel_executions_of_flow, delete_flow_with_executions
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.errors import NotConfirmed
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.plan import TenantPlan, plan_tenants
from engage_pipeline.flows.store import ApplyReport, StoredFlow, find_flow, list_flows
from engage_pipeline.flows.yaml_file import TENANT_NAME_PATTERN, TenantFlows, read_flows, to_yaml
from engage_pipeline.settings import load_settings

if TYPE_CHECKING:
    from engage_pipeline.matching.impact import Impact

app = typer.Typer(help="Flows: validate, lint, plan, apply, list, show, delete.", no_args_is_help=True)
out = Console(highlight=False)


def _tenant_name(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(TENANT_NAME_PATTERN, value):
        raise typer.BadParameter(
            "a tenant's name is letters, digits, '.', '_' and '-', and begins with a letter or digit"
        )
    return value


FlowsPath = Annotated[Path, typer.Argument(exists=True, help="A YAML file, or a folder of them (not its subfolders).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", callback=_tenant_name, help="Needed only where there are several tenants.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Also delete flows that the files do not have.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Ask the contacts of so many last days.")]
IntoTenant = Annotated[
    str | None, typer.Option("--tenant", callback=_tenant_name, help="Use this tenant whatever the files say.")
]


@app.command()
def validate(path: FlowsPath, tenant: IntoTenant = None, as_json: AsJson = False) -> None:
    """Check the files and change nothing.

    Example: engage flows validate flows/
    """
    tenants = read_flows(path, tenant_name=tenant)
    if as_json:
        _print_json({each.tenant_name: [flow.name for flow in each.flows] for each in tenants})
        return
    for each in tenants:
        out.print(f"{each.tenant_name}: {_count(each)} valid", markup=False)


@app.command()
def lint(
    path: Annotated[
        Path | None, typer.Argument(exists=True, help="Flow files; without any, the flows that are in force.")
    ] = None,
    tenant: OfTenant = None,
    days: Days = 30,
    as_json: AsJson = False,
) -> None:
    """Find flows that can never hold or never win, overlaps, and the share of recent contacts that no flow takes.

    Example: engage flows lint flows/ --days 7
    """
    from engage_pipeline.matching.lint import lint_flows

    now = utc_now()
    with _database() as connection:
        url = database_url(load_settings())
        asked = _flows_of_files(connection, path, tenant) if path else _flows_in_force(connection, tenant)
        reports = {
            name: lint_flows(url, user_id, flows, days=days, now=now) for name, (user_id, flows) in asked.items()
        }
    if as_json:
        from engage_pipeline.matching.views import lint_as_dict

        _print_json([lint_as_dict(name, report) for name, report in reports.items()])
        return
    for name, report in reports.items():
        for line in lint_lines(name, report):
            out.print(line, markup=False, soft_wrap=True)


@app.command()
def plan(
    path: FlowsPath,
    tenant: IntoTenant = None,
    prune: Prune = False,
    days: Days = 30,
    as_json: AsJson = False,
) -> None:
    """Show what applying the files would change, and which contacts of the last days it would move. Changes nothing.

    Example: engage flows plan flows/ --prune --days 7
    """
    tenants = read_flows(path, tenant_name=tenant)
    with _database() as connection:
        planned = plan_tenants(connection, tenants, delete_missing=prune)
        impacts = _impacts(connection, planned, days=days)
    if as_json:
        from engage_pipeline.matching.views import plan_as_dict

        _print_json([plan_as_dict(*pair) for pair in zip(planned, impacts, strict=True)])
    else:
        _show_plans(planned, impacts)


@app.command()
def apply(
    path: FlowsPath,
    tenant: IntoTenant = None,
    prune: Prune = False,
    days: Days = 30,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the plan, ask, and put the flows of the files in force; flows that say the same get no new version.

    Example: engage flows apply flows/demo.yaml --yes
    """
    if as_json and not yes:
        raise typer.BadParameter("--json leaves no room for a question; add --yes", param_hint="--json")
    tenants = read_flows(path, tenant_name=tenant)
    with _database() as connection:
        planned = plan_tenants(connection, tenants, delete_missing=prune)
        if not as_json and any(not each.is_empty for each in planned):
            _show_plans(planned, _impacts(connection, planned, days=days))
            if not yes and not _confirmed():
                out.print("nothing was changed")
                raise typer.Exit(1)
        reports = _apply(connection, tenants, planned, prune=prune)
    if as_json:
        _print_json({name: vars(report) for name, report in reports.items()})
        return
    for name, report in reports.items():
        for outcome, flow_names in vars(report).items():
            for flow_name in flow_names:
                out.print(f"{name}: {outcome} {flow_name}", markup=False)


@app.command("list")
def list_all(tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """List the flows of all tenants, or of one, by priority.

    Example: engage flows list --tenant demo
    """
    with _database() as connection:
        tenants = list_tenants(connection) if tenant is None else [find_tenant(connection, tenant)]
        flows = [(each, stored) for each in tenants for stored in list_flows(connection, each)]
    if as_json:
        _print_json([_as_dict(each, stored) for each, stored in flows])
        return
    table = Table()
    for heading in ("tenant", "priority", "flow", "version", "enabled", "actions", "business hours"):
        table.add_column(heading, overflow="fold")
    for each, stored in flows:
        flow = stored.definition
        table.add_row(
            each.name,
            str(flow.priority),
            flow.name,
            str(stored.version),
            "yes" if flow.is_enabled else "no",
            ", ".join(action.action_type for action in sorted(flow.actions, key=lambda action: action.action_order)),
            _hours(flow),
        )
    out.print(table)


@app.command()
def show(
    name: str,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version; the current one by default.")] = None,
    tenant: OfTenant = None,
    as_json: AsJson = False,
) -> None:
    """Print the flow NAME as YAML that can be applied again.

    Example: engage flows show "Paid social" --version 1
    """
    with _database() as connection:
        owner = _one_tenant(connection, tenant)
        stored = find_flow(connection, owner, name, version=version)
    if as_json:
        _print_json(_as_dict(owner, stored))
    else:
        out.print(to_yaml([stored.definition], tenant_name=owner.name), markup=False, soft_wrap=True, end="")


@app.command()
def delete(name: str, tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """Take the flow NAME out of matching for good and cancel its open executions; its history stays.

    Example: engage flows delete "Paid social"
    """
    with _database() as connection:
        owner = _one_tenant(connection, tenant)
        with connection.transaction():
            flow_id = find_flow(connection, owner, name).flow_id
            delete_flow_with_executions(connection, owner, name, flow_id, now=utc_now())
    if as_json:
        _print_json({"tenant": owner.name, "deleted": [name]})
    else:
        out.print(f"{owner.name}: deleted {name}", markup=False)


def _apply(
    connection: Connection, tenants: Sequence[TenantFlows], planned: Sequence[TenantPlan], *, prune: bool
) -> dict[str, ApplyReport]:
    """Do what was planned, or nothing. Flows and executions change together: what a pruned flow began ends with it."""
    with connection.transaction():
        known = {
            (tenant.name, stored.definition.name): stored.flow_id
            for tenant in list_tenants(connection)
            for stored in list_flows(connection, tenant)
        }
        bases = {each.tenant_name: each.basis for each in planned}
        reports = apply_tenants(connection, tenants, delete_missing=prune, bases=bases)
        for tenant_name, report in reports.items():
            for flow_name in report.deleted:
                cancel_executions_of_flow(connection, known[tenant_name, flow_name], now=utc_now())
    return reports


def _flows_in_force(connection: Connection, tenant: str | None) -> "dict[str, tuple[UUID | None, list[StoredFlow]]]":
    tenants = list_tenants(connection) if tenant is None else [find_tenant(connection, tenant)]
    return {each.name: (each.user_id, list_flows(connection, each)) for each in tenants}


def _flows_of_files(
    connection: Connection, path: Path, tenant: str | None
) -> "dict[str, tuple[UUID | None, list[StoredFlow]]]":
    """The flows as if they were in force, with the contacts of the tenants that there are."""
    known = {each.name: each.user_id for each in list_tenants(connection)}
    return {
        each.tenant_name: (
            known.get(each.tenant_name),
            [StoredFlow(uuid4(), known.get(each.tenant_name, UUID(int=0)), 1, flow) for flow in each.flows],
        )
        for each in read_flows(path, tenant_name=tenant)
    }


def _impacts(connection: Connection, planned: Sequence[TenantPlan], *, days: int) -> "list[Impact]":
    from engage_pipeline.matching.impact import impact_of

    url, now = database_url(load_settings()), utc_now()
    return [impact_of(connection, url, each, days=days, now=now) for each in planned]


def _show_plans(planned: Sequence[TenantPlan], impacts: "Sequence[Impact]") -> None:
    for each, impact in zip(planned, impacts, strict=True):
        for line in plan_lines(each, impact):
            out.print(line, markup=False, soft_wrap=True)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise NotConfirmed
    return typer.confirm("Apply this?", err=True)


@contextmanager
def _database() -> Iterator[Connection]:
    settings = load_settings()
    url = database_url(settings)
    if settings.database_url is None:
        # The embedded server is ours alone. A server that others run is migrated by `engage db migrate` only.
        migrate(url)
    with connect(url) as connection:
        yield connection


def _one_tenant(connection: Connection, name: str | None) -> Tenant:
    if name is not None:
        return find_tenant(connection, name)
    known = list_tenants(connection)
    if len(known) == 1:
        return known[0]
    listed = ", ".join(each.name for each in known) or "none yet"
    raise typer.BadParameter(f"say which tenant: {listed}", param_hint="--tenant")


def _as_dict(tenant: Tenant, stored: StoredFlow) -> dict[str, Any]:
    return {
        "tenant": tenant.name,
        "flow_id": str(stored.flow_id),
        "version": stored.version,
        **stored.definition.model_dump(mode="json"),
    }


def _hours(flow: Flow) -> str:
    if not flow.use_custom_business_hours:
        return ""
    return f"{flow.business_hours_start:%H:%M} to {flow.business_hours_end:%H:%M} {flow.business_hours_timezone}"


def _count(tenant: TenantFlows) -> str:
    return "1 flow" if len(tenant.flows) == 1 else f"{len(tenant.flows)} flows"


def _print_json(value: dict[str, Any] | Sequence[dict[str, Any]]) -> None:
    out.print(json.dumps(value), markup=False, soft_wrap=True)
