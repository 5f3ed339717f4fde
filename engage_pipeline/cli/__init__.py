"""The `engage` command: one module a group of commands."""

from engage_pipeline.cli.app import main

__all__ = ["main"]
