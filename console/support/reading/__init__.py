"""What the console's pages show, read from the ledger: plain SQL, by key, a page at a time."""
