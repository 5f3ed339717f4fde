"""Dagster assets: the tables that people see in the lineage. Each opens what it needs and makes one engine call."""
