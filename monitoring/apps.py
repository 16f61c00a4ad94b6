from typing import Any

from django.apps import AppConfig
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class MonitoringConfig(AppConfig):
    name = "monitoring"
    verbose_name = _("Watch")

    def ready(self) -> None:
        from catalog.signals import listing_changed, promotion_changed

        listing_changed.connect(watch_changed_listings, dispatch_uid="monitoring.watch_changed_listings")
        for signal in (listing_changed, promotion_changed):
            signal.connect(price_changed_listings, dispatch_uid="monitoring.price_changed_listings")


def watch_changed_listings(sender: Any, listing_ids: list[int], **kwargs: Any) -> None:
    """Receiver of listing_changed: what is new, or came back, is watched from now on."""
    from monitoring.services import ensure_watches

    ensure_watches(listing_ids, now=timezone.now())


def price_changed_listings(sender: Any, listing_ids: list[int], **kwargs: Any) -> None:
    """Receiver of listing_changed and promotion_changed: their after-coupon prices are worked out again."""
    from monitoring.services.prices import mark_due

    mark_due(listing_ids=listing_ids, now=timezone.now())
