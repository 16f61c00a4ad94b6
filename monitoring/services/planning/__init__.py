"""Planning on the database: demand out of the ledger, and the run that plans SKUs and advises."""
