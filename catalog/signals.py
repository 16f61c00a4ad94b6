"""News from the catalog for the rooms above it; sent after the commit, never inside a transaction.

Senders use `transaction.on_commit`. Every signal carries ids only, so that a receiver reads the present state.
"""

from django.dispatch import Signal

# listing_ids: list[int]; the listings were added, restored, removed or edited.
listing_changed = Signal()
# channel_ids: list[int]; the channels were added or edited, watching started or stopped.
channel_changed = Signal()
# sku_ids: list[int]; what can be sold of the SKUs changed, bundles of what was booked among them.
stock_changed = Signal()
# listing_ids: list[int]; their after-coupon prices may be others now, since a promotion, a fee or a cost is.
promotion_changed = Signal()
