"""Automated lead engagement as a data pipeline."""
