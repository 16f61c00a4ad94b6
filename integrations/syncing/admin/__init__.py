"""Pages about the sync of stock: what is on its way, each listing with its history, the runs."""

from integrations.syncing.admin import board, listing_page, panels, preflight, run_pages

__all__ = ["board", "listing_page", "panels", "preflight", "run_pages"]
