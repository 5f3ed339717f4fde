"""`engage sandbox`: the sandbox providers."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engage_pipeline.channels.sandbox.behaviour import load_behaviour
from engage_pipeline.channels.sandbox.serve import serve
from engage_pipeline.settings import load_settings

progress = Console(stderr=True, highlight=False)


def sandbox(
    behaviour: Annotated[Path | None, typer.Option(help="JSON file with shares, latency and faults.")] = None,
) -> None:
    """Serve the sandbox providers on 127.0.0.1 until stopped. They record every request and reach nobody.

    Example: engage sandbox --behaviour faults.json
    """
    settings = load_settings()
    conduct = load_behaviour(behaviour) if behaviour else None
    progress.print(f"sandbox providers at {settings.sandbox_url}, record in {settings.sandbox_record}", soft_wrap=True)
    serve(settings, behaviour=conduct)
