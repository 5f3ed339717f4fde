"""Forgetting people, and what is kept for how long. Above the ledger and intake, whose tables and files it clears."""
