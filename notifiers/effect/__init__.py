"""Did it help? People who were told against people held out, from the ledger alone."""
