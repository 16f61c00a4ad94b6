"""The stock of 1 % of 10,000 SKUs changes: how many calls of the simulator write it.

Once on Shopify and once on WooCommerce, whose rows are simple products. The simulator stands in for the platforms
here: what counts is its calls, not its speed.

    python -m benchmarks push_changes
"""

from typing import Any

from benchmarks import stock_shops
from benchmarks.harness import report
from catalog.models import Channel, ChannelLocation, Listing, Product, Sku, StockMovement, Warehouse
from integrations.connectors.shopify import ShopifyConnector
from integrations.connectors.woocommerce import WooCommerceConnector
from integrations.models import ChannelSync, Credential, ListingSync
from tests.simulator import Simulator, start_simulator, stop_simulator

SKUS, EVERY = 10_000, 100
CHANGED = SKUS // EVERY
WRITES = {"shopify": "inventorySetQuantities", "woocommerce": "POST products/batch"}
BATCHES = {"shopify": ShopifyConnector.max_rows_per_push, "woocommerce": WooCommerceConnector.max_rows_per_push}


def connect_shopify(simulator: Simulator, skus: list[Sku]) -> None:
    simulator.shopify.add_products(SKUS, variants_each=50)
    shop = simulator.shopify.shop()
    channel = Channel.objects.create(name="Shopify", platform="shopify", currency="USD")
    Credential.objects.create(
        channel=channel,
        access_token=shop["access_token"],
        base_url=simulator.base_url,
        options={"shop": shop["domain"], "app_kind": "custom"},
    )
    rows = simulator.shopify.variants()[-SKUS:]
    (location,) = {place.rpartition("/")[2] for place in list(rows[0]["levels"])[:1]}
    ChannelLocation.objects.create(channel=channel, warehouse=Warehouse.objects.get(), location_id=location)
    stock_ids = [row["inventory_item_id"].rpartition("/")[2] for row in rows]
    shown = [next(units for place, units in row["levels"].items() if place.endswith(f"/{location}")) for row in rows]
    sell_on(channel, skus, [(row["num_iid"], row["sku_id"]) for row in rows], shown, location, stock_ids)


def connect_woocommerce(simulator: Simulator, skus: list[Sku]) -> None:
    simulator.woocommerce.add_products(SKUS)
    shop = simulator.woocommerce.shop()
    channel = Channel.objects.create(name="WooCommerce", platform="woocommerce", currency="EUR")
    Credential.objects.create(
        channel=channel,
        app_key=shop["consumer_key"],
        app_secret=shop["consumer_secret"],
        base_url=shop["url"],
    )
    rows = simulator.woocommerce.items()[-SKUS:]
    sell_on(channel, skus, [(row["num_iid"], "") for row in rows], [row["quantity"] for row in rows])


def sell_on(
    channel: Channel,
    skus: list[Sku],
    items: list[tuple[Any, Any]],
    shown: list[int],
    location_id: str = "",
    stock_ids: list[str] | None = None,
) -> None:
    """Have the channel sell the SKUs, each as this item, and know what it shows of them."""
    listings = Listing.objects.bulk_create(
        Listing(
            channel=channel,
            sku=sku,
            platform_item_id=str(item_id),
            platform_sku_id=str(sku_id),
            platform_stock_id=stock_id,
        )
        for sku, (item_id, sku_id), stock_id in zip(skus, items, stock_ids or [""] * SKUS, strict=True)
    )
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
    ListingSync.objects.bulk_create(
        ListingSync(
            listing=listing,
            channel=channel,
            location_id=location_id,
            state=ListingSync.State.IN_SYNC,
            wanted=units,
            confirmed=units,
        )
        for listing, units in zip(listings, shown, strict=True)
    )


def main(database: str) -> None:
    Warehouse.objects.create(code="MAIN", name="Main")
    product = Product.objects.create(name="Kettle")
    skus = Sku.objects.bulk_create(Sku(code=f"K-{number}", product=product) for number in range(SKUS))
    stock_shops.move(lambda place: 1_000 + place % 50, kind=StockMovement.Kind.COUNT)
    process, address = start_simulator("--seed", "7", "--listings", "80")
    simulator = Simulator(address)
    try:
        simulator.reset(speed=0)
        connect_shopify(simulator, skus)
        connect_woocommerce(simulator, skus)
        simulator.clear_ledger()
        stock_shops.sell(every=EVERY)
        stock_shops.settle_rows()
        ledger = simulator.ledger()
    finally:
        simulator.close()
        stop_simulator(process)
    calls = {platform: sum(entry["method"] == method for entry in ledger) for platform, method in WRITES.items()}
    least = {platform: -(-CHANGED // batch) for platform, batch in BATCHES.items()}
    sent = ListingSync.objects.filter(pushed__isnull=False, state="in-sync").count()
    report(
        "push the 1 % of 10,000 SKUs that changed",
        target="at most 1.1 x the least write calls",
        passed=all(calls[platform] <= 1.1 * least[platform] for platform in calls) and sent == 2 * CHANGED,
        database=database,
        write_calls=calls,
        least_calls=least,
        all_calls=len(ledger),
        rows_written_and_confirmed=sent,
    )
