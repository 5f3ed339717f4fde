"""What the demo shows while it runs and when it is done."""

from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from engage_pipeline.analytics.rates_table import success_rates_tables
from engage_pipeline.books import Books
from engage_pipeline.database.connections import Connection
from engage_pipeline.settings import Settings
from engage_pipeline.stack.progress import Progress, UploadState

_STATES = ("pending", "sending", "sent", "success", "failed", "skipped", "unknown")
_CHANNEL_NAMES = {"ai_call": "AI call", "whatsapp_message": "WhatsApp", "email": "e-mail", "wait": "wait"}


def progress_view(progress: Progress, upload: UploadState | None) -> Group:
    """The live view: the file, contacts and executions, and actions by type and state."""
    file_state = "not seen yet" if upload is None else upload.status
    head = Text.assemble(
        ("file ", "dim"),
        file_state,
        ("   contacts ", "dim"),
        f"{progress.contact_count:,}",
        ("   matched ", "dim"),
        f"{progress.matched_count:,}",
        (" of ", "dim"),
        f"{progress.assigned_count:,}",
        ("   executions open ", "dim"),
        f"{progress.open_executions:,}",
        ("   ended ", "dim"),
        f"{progress.ended_executions:,}",
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("actions", min_width=10)
    for state in _STATES:
        table.add_column(state, justify="right", min_width=9)
    for action_type, name in _CHANNEL_NAMES.items():
        table.add_row(name, *(_count(progress.logs.get((action_type, state), 0)) for state in _STATES))
    return Group(head, table, Text(progress.doing, style="italic cyan"), Text())


def books_table(books: Books) -> Table:
    """The sums with their parts, one block a sum, balanced or not."""
    table = Table(title="The books", title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for each in books.sums:
        table.add_row(
            Text(each.title, style="bold"),
            Text(f"{each.total:,}", style="bold"),
            Text("= the sum below", style="green") if each.is_balanced else Text("DOES NOT BALANCE", style="bold red"),
        )
        for name, count in each.parts.items():
            note = ""
            if name == "still open" and count and books.next_due is not None:
                first, last = books.next_due
                note = f"due {first:%d %b %H:%M}" + (f" to {last:%d %b %H:%M}" if last > first else "") + " UTC"
            table.add_row(f"  {name}", f"{count:,}", Text(note, style="dim"))
    table.add_row(Text("requests without an effect, counted apart", style="bold"), "", "")
    for name, count in books.apart.items():
        table.add_row(f"  {name}", f"{count:,}", "")
    for problem in books.problems:
        table.add_row(Text(problem, style="bold red"), "", "")
    return table


def print_summary(
    console: Console, connection: Connection, books: Books, upload: UploadState, settings: Settings, *, seconds: float
) -> None:
    """The books, the success rates from the DuckDB file, and three commands worth trying next."""
    if upload.status == "repeated":
        console.print("\nThe same file was loaded before: nothing was read again, and nobody was contacted again.")
    reachable = connection.execute(
        "select count(*) from contacts where phone_e164 is not null or email is not null"
    ).fetchone()
    contacts = connection.execute("select count(*) from contacts").fetchone()
    if contacts and reachable and reachable[0] < contacts[0]:
        console.print(
            f"\n{contacts[0] - reachable[0]:,} of {contacts[0]:,} contacts have neither a phone number nor an e-mail"
            " address: no channel can reach them."
        )
    console.print()
    console.print(books_table(books))
    console.print()
    console.print(success_rates_tables(settings.warehouse))
    console.print(f"\nDone in {seconds:.0f} s. The rates come from {settings.warehouse}")
    console.print("Worth trying next:")
    for command, purpose in (
        ("make dev", "everything up, with the Dagster UI on http://127.0.0.1:3000"),
        (f"{_engage()} flows list", "the flows that were applied, by priority"),
        (f"{_engage()} sql 'from flow_success_rates'", "ask the warehouse anything"),
    ):
        console.print(f"  [bold]{command}[/]", highlight=False, soft_wrap=True)
        console.print(f"      {purpose}", style="dim", highlight=False)


def _engage() -> str:
    return str(Path(".venv") / "bin" / "engage")


def _count(value: int) -> str:
    return f"{value:,}" if value else "·"
