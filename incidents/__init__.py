"""Incidents and verdicts: one problem with a beginning, an end and a cause, and the ledger that remembers it."""
