"""From what a shop has to the SKUs we know: proposals, what is decided about them, and files of mappings."""

from catalog.mapping.decisions import Decided, accept, add_unmapped, reject, take_back
from catalog.mapping.proposals import FoundListing, review, store_found

__all__ = ["Decided", "FoundListing", "accept", "add_unmapped", "reject", "review", "store_found", "take_back"]
