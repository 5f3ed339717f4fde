"""Conditions compiled to vectorised predicates; assignment of contacts to flows."""
