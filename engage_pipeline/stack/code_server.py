"""Dagster's code server, whose runs are forked from a process that has imported everything already.

    python -m engage_pipeline.stack.code_server -m engage_pipeline.definitions -h 127.0.0.1 -p PORT

By itself it begins a new interpreter for each run, which is busy with imports for two seconds before it does anything.
The arguments are those of `dagster api grpc`, and as there a change of the code needs a new server.
"""

import multiprocessing
import runpy
import sys
from multiprocessing.context import BaseContext
from multiprocessing.forkserver import ensure_running
from typing import Any

# What a run needs that `definitions` imports only when it is needed, and what Dagster loads by name.
_IMPORTED = [
    "adbc_driver_postgresql.dbapi",
    "dagster._grpc.impl",
    "dagster_postgres",
    "engage_pipeline.accounts.alarms",
    "engage_pipeline.accounts.opening",
    "engage_pipeline.definitions",
    "engage_pipeline.execution.budgets",
    "engage_pipeline.execution.dispatch",
    "engage_pipeline.execution.ledger",
    "engage_pipeline.matching.batch",
]


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    _fork_what_would_be_spawned()
    sys.argv[:1] = ["dagster", "api", "grpc"]
    runpy.run_module("dagster", run_name="__main__")


def _fork_what_would_be_spawned() -> None:
    """Dagster asks for the context `spawn` by name and has no setting for another; one that asks differently spawns."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(_IMPORTED)
    ensure_running()
    by_name = multiprocessing.get_context

    def get_context(method: str | None = None) -> BaseContext:
        return forkserver if method == "spawn" else by_name(method)

    patched: Any = multiprocessing
    patched.get_context = get_context


if __name__ == "__main__":
    main()
