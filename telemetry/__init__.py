"""Events, sessions and slices: the contract as code, ingest with quarantine, and the DuckDB warehouse."""
