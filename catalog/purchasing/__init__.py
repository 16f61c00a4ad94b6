"""What we buy: orders to suppliers, what comes of them into the ledger, and what is still on its way."""
