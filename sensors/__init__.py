"""Dagster sensors: what is noticed, and which job it asks for."""
