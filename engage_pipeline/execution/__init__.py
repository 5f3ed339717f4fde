"""The ledger: start, claim, branch, wait, business hours, record, reconcile."""
