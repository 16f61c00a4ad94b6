"""Promotions as they are stored: read, changed, and asked about. The arithmetic is catalog/pricing."""
