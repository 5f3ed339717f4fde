"""`engage db`: the embedded PostgreSQL and its schema."""

import typer
from rich.console import Console

from engage_pipeline.database import embedded
from engage_pipeline.database.connections import database_url
from engage_pipeline.database.migrate import migrate as migrate_to
from engage_pipeline.settings import load_settings

app = typer.Typer(help="The database: start, stop, migrate, print its URL.", no_args_is_help=True)
out = Console(highlight=False)


@app.command()
def start() -> None:
    """Start the embedded server, or attach to it, and bring the schema up to date."""
    url = database_url(load_settings())
    migrate_to(url)
    out.print(url, markup=False, soft_wrap=True)


@app.command()
def stop() -> None:
    """Stop the embedded server. Nothing else ever does."""
    out.print("stopped" if embedded.stop(load_settings().home) else "was not running")


@app.command()
def migrate() -> None:
    """Bring the schema up to date."""
    migrate_to(database_url(load_settings()))
    out.print("the schema is up to date")


@app.command()
def url() -> None:
    """Print the URL, for `psql "$(engage db url)"`."""
    out.print(database_url(load_settings()), markup=False, soft_wrap=True)
