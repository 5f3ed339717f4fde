"""`python -m engage_pipeline.cli` is `engage`."""

from engage_pipeline.cli import main

main()
