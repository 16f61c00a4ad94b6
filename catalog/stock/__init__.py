"""One true stock: the ledger and its sums, orders booked into it, and what each channel may show of it."""
