"""`engage webhooks`: the application that providers call back."""

import typer
from rich.console import Console

from engage_pipeline.settings import load_settings
from engage_pipeline.webhooks.serve import serve

progress = Console(stderr=True, highlight=False)


def webhooks() -> None:
    """Serve webhooks and unsubscribe links on 127.0.0.1 until stopped. `engage dev` and `engage demo` run it too.

    Example: ENGAGE_PUBLIC_URL=https://hooks.example.com engage webhooks
    """
    settings = load_settings()
    progress.print(f"webhooks at http://127.0.0.1:{settings.webhook_port}/webhooks/PROVIDER/TOKEN", soft_wrap=True)
    try:
        serve(settings)
    except SystemExit as error:
        if error.code:
            raise typer.Exit(1) from error
