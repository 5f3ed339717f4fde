"""`engage executions` and `engage test-run`: what contacts are walking through, and what a person can do about it."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.database.vocabulary import EXECUTION_STATUSES
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.reading import ExecutionFilter, find_execution, list_executions
from engage_pipeline.execution.resolve import RESOLUTIONS, resolve_unknown
from engage_pipeline.execution.test_runs import start_test_run
from engage_pipeline.flows.store import find_flow
from engage_pipeline.settings import load_settings

app = typer.Typer(help="Executions: list, show, cancel, resolve.", no_args_is_help=True)
out = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")]


def _known_status(value: str | None) -> str | None:
    if value is not None and value not in EXECUTION_STATUSES:
        raise typer.BadParameter(f"a status is one of {', '.join(EXECUTION_STATUSES)}")
    return value


def _known_outcome(value: str) -> str:
    if value not in RESOLUTIONS:
        raise typer.BadParameter(f"an outcome is one of {', '.join(RESOLUTIONS)}")
    return value


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    status: Annotated[str | None, typer.Option(callback=_known_status, help="Only these.")] = None,
    contact: Annotated[UUID | None, typer.Option(help="Only this contact's.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Only those that wait for a person.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest executions.

    Example: engage executions list --tenant demo --status running
    """
    with connect(database_url(load_settings())) as connection:
        user_id = None if tenant is None else find_tenant(connection, tenant).user_id
        which = ExecutionFilter(
            user_id=user_id, statuses=(status,) if status else (), contact_id=contact, unknown=unknown
        )
        rows = list_executions(connection, which, at_most=limit)
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        when = f"next at {row['next_due_at']:%Y-%m-%d %H:%M} UTC" if row["next_due_at"] else ""
        mark = " (test run)" if row["is_test_run"] else ""
        out.print(
            f"{row['execution_id']}  {row['status']}{mark}  {row['flow_name']}  {when}", markup=False, soft_wrap=True
        )


@app.command()
def show(execution_id: UUID, as_json: AsJson = False) -> None:
    """Show one execution: each action, what became of it, and when the ledger looks at it next.

    Example: engage executions show 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11 --json
    """
    with connect(database_url(load_settings())) as connection:
        found = find_execution(connection, execution_id)
    if as_json:
        _print_json(found)
        return
    out.print(f"{found['flow_name']}: {found['status']}", markup=False)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("", "action", "status", "because", "attempts", "due", "action log"):
        table.add_column(title)
    for log in found["action_logs"]:
        because = log["skip_reason"] or log["outcome"] or ""
        due = f"{log['due_at']:%Y-%m-%d %H:%M}" if log["due_at"] else ""
        cells = (log["action_order"], log["action_type"], log["status"], because, log["attempt_count"], due)
        table.add_row(*(str(cell) for cell in cells), str(log["action_log_id"]))
    out.print(table)


@app.command()
def cancel(execution_ids: list[UUID]) -> None:
    """Cancel executions: what is pending is skipped, what was done stays, what is on its way keeps its course.

    Example: engage executions cancel 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11
    """
    with connect(database_url(load_settings())) as connection:
        before = [find_execution(connection, execution_id) for execution_id in execution_ids]
        with connection.transaction():
            cancel_executions(connection, execution_ids, reason="cancelled", now=utc_now())
    for each in before:
        is_open = each["status"] in ("pending", "running")
        out.print(f"{each['execution_id']}  {'cancelled' if is_open else 'had ended: ' + each['status']}", markup=False)


@app.command()
def resolve(action_log_id: UUID, outcome: Annotated[str, typer.Argument(callback=_known_outcome)]) -> None:
    """Say what became of an unknown action; its execution goes on. Nothing is sent again.

    Example: engage executions resolve 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11 delivered
    """
    with connect(database_url(load_settings())) as connection:
        status = resolve_unknown(connection, action_log_id, outcome, now=utc_now())
    out.print(f"{action_log_id}  {status}", markup=False)


def test_run(
    contact_id: UUID,
    flow: Annotated[str, typer.Option(help="The flow to walk through.")],
    tenant: Annotated[str, typer.Option(help="Whose flow it is.")] = "demo",
) -> None:
    """Send a contact through a flow with requests that are recorded instead of sent. Needs a running system.

    Example: engage test-run 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11 --flow "Paid social"
    """
    with connect(database_url(load_settings())) as connection:
        stored = find_flow(connection, find_tenant(connection, tenant), flow)
        execution_id = start_test_run(connection, stored, contact_id, now=utc_now())
    out.print(f"next: engage executions show {execution_id}", markup=False)


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, default=str))  # noqa: T201 - stdout is where a program reads the result
