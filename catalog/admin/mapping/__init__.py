"""Pages about which SKU each listing is: proposals, unmapped listings, files of mappings."""

from catalog.admin.mapping import columns, deeds, file_pages, proposals, unmapped

__all__ = ["columns", "deeds", "file_pages", "proposals", "unmapped"]
