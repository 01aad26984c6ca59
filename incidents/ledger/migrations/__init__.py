"""The ledger's history: Alembic scripts, run by `incidents.ledger.store.Ledger.upgrade`."""
