"""Pages about which SKU each listing is: proposals, unmapped listings, files of mappings."""

from catalog.admin.mapping import file_pages, proposals, unmapped

__all__ = ["file_pages", "proposals", "unmapped"]
