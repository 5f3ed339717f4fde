"""The HTTP interface: applications and people change the database through it; Dagster does the work."""
