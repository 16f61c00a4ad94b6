import gc

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = _("Stock & sync")

    def ready(self) -> None:
        from django_q.signals import pre_execute

        from catalog.signals import channel_changed, listing_changed, stock_changed
        from catalog.stock.targets import WITHOUT_LOCATIONS
        from integrations import tasks  # models are loaded only now
        from integrations.connectors import CONNECTORS
        from monitoring.signals import notification_queued

        WITHOUT_LOCATIONS.update(name for name, connector in CONNECTORS.items() if not connector.has_locations)
        listing_changed.connect(tasks.fetch_new_listings, dispatch_uid="integrations.fetch_new_listings")
        channel_changed.connect(tasks.fetch_changed_channels, dispatch_uid="integrations.fetch_changed_channels")
        stock_changed.connect(tasks.push_changed_stock, dispatch_uid="integrations.push_changed_stock")
        stock_changed.connect(tasks.plan_changed_stock, dispatch_uid="integrations.plan_changed_stock")
        listing_changed.connect(tasks.book_mapped_listings, dispatch_uid="integrations.book_mapped_listings")
        listing_changed.connect(tasks.push_changed_listings, dispatch_uid="integrations.push_changed_listings")
        channel_changed.connect(tasks.push_changed_channels, dispatch_uid="integrations.push_changed_channels")
        notification_queued.connect(tasks.send_queued, dispatch_uid="integrations.send_queued")
        pre_execute.connect(tasks.beat_before_task, dispatch_uid="integrations.beat_before_task")
        # What is loaded by now lives as long as the process: the collector need not walk through it again and again
        # while a pass makes objects by the ten thousand.
        gc.collect()
        gc.freeze()
        # Nor look at every 700 new ones: the rows of a pass go as a chunk is recorded, without it.
        gc.set_threshold(50_000)
