"""The ways to reach a contact: one module a provider behind one protocol, and the sandbox that stands in for them all.

Knows HTTP and nothing of the ledger.
"""
