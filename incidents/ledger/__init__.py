"""The ledger: the transactional store of incidents, troubles, notices, deliveries and the inbox."""
