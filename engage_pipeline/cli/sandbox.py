"""`engage sandbox`: the sandbox providers."""

from pathlib import Path
from typing import Annotated

import typer

from engage_pipeline.channels.sandbox.behaviour import load_behaviour
from engage_pipeline.channels.sandbox.serve import serve
from engage_pipeline.settings import load_settings


def sandbox(
    behaviour: Annotated[Path | None, typer.Option(help="JSON file with shares, latency and faults.")] = None,
) -> None:
    """Serve the sandbox providers on 127.0.0.1 until stopped. They record every request and reach nobody.

    Example: engage sandbox --behaviour faults.json
    """
    serve(load_settings(), behaviour=load_behaviour(behaviour) if behaviour else None)
