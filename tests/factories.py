"""One factory per model, each making the smallest valid row; a test sets the fields it is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import factory

from catalog.models import (
    ApiKey,
    Channel,
    Lane,
    Listing,
    Order,
    OrderLine,
    Product,
    Promotion,
    Proposal,
    PurchaseOrder,
    PurchaseOrderLine,
    Sku,
    StockLevel,
    StockRule,
    Supplier,
    SupplierSku,
    User,
    Warehouse,
)
from integrations.models import Credential
from monitoring.models import (
    Advice,
    Alert,
    Delivery,
    DemandHistory,
    ListingWatch,
    Notification,
    Route,
    SkuPlan,
    Target,
    Threshold,
)

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    is_staff = True
    password = factory.django.Password("correct horse battery")


class ApiKeyFactory(factory.django.DjangoModelFactory):
    """A key that nobody knows; `issue()` gives it one that somebody does."""

    class Meta:
        model = ApiKey

    name = factory.Sequence(lambda n: f"ERP {n}")
    user = factory.SubFactory(UserFactory)
    scopes = ["read:catalog"]
    digest = factory.Sequence(lambda n: f"{n:064x}")


class ChannelFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Channel

    name = factory.Sequence(lambda n: f"天猫旗舰店 {n}")


class CredentialFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Credential

    channel = factory.SubFactory(ChannelFactory)
    app_key = "12345678"
    app_secret = "helloworld"
    access_token = "test"


class SupplierFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Supplier

    name = factory.Sequence(lambda n: f"工厂 {n}")


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Product

    name = factory.Sequence(lambda n: f"手冲咖啡壶 {n}")


class SkuFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Sku

    code = factory.Sequence(lambda n: f"EV-KET-{n}")
    product = factory.SubFactory(ProductFactory)


class ListingFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Listing

    channel = factory.SubFactory(ChannelFactory)
    platform_item_id = factory.Sequence(lambda n: str(616_000_000_001 + n))
    title = factory.Sequence(lambda n: f"手冲咖啡壶 细口 600ml {n}")


class WarehouseFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Warehouse

    code = factory.Sequence(lambda n: f"WH{n}")
    name = factory.Sequence(lambda n: f"杭州仓 {n}")


class StockLevelFactory(factory.django.DjangoModelFactory):
    """A counted level without the movements that it is the sum of; those come from the ledger's own functions."""

    class Meta:
        model = StockLevel

    sku = factory.SubFactory(SkuFactory)
    warehouse = factory.SubFactory(WarehouseFactory)
    is_counted = True


class StockRuleFactory(factory.django.DjangoModelFactory):
    """A rule of a channel that holds nothing back; a listing's has `channel=None`."""

    class Meta:
        model = StockRule

    channel = factory.SubFactory(ChannelFactory)


class PromotionFactory(factory.django.DjangoModelFactory):
    """Ten yuan off any order of its channel, which a buyer claims."""

    class Meta:
        model = Promotion

    channel = factory.SubFactory(ChannelFactory)
    name = factory.Sequence(lambda n: f"店铺券 {n}")
    layer = "coupon"
    kind = Promotion.Kind.AMOUNT_OFF
    value = factory.Maybe("tiers", None, 1000)
    tiers = None
    currency = "CNY"


class OrderFactory(factory.django.DjangoModelFactory):
    """A paid order without lines, ordered and told at NOW."""

    class Meta:
        model = Order

    channel = factory.SubFactory(ChannelFactory)
    platform_order_id = factory.Sequence(lambda n: str(3_100_000_000_001 + n))
    status = Order.Status.PAID
    ordered_at = changed_at = seen_at = NOW
    currency = "CNY"


class OrderLineFactory(factory.django.DjangoModelFactory):
    """One unit of an unmapped listing."""

    class Meta:
        model = OrderLine

    order = factory.SubFactory(OrderFactory)
    line_id = factory.Sequence(lambda n: str(4_100_000_000_001 + n))
    quantity = 1


class ProposalFactory(factory.django.DjangoModelFactory):
    """A listing that was found in a shop at NOW, of which nothing is known to fit."""

    class Meta:
        model = Proposal

    channel = factory.SubFactory(ChannelFactory)
    platform_item_id = factory.Sequence(lambda n: str(717_000_000_001 + n))
    title = factory.Sequence(lambda n: f"不锈钢保温杯 {n}")
    shelf_state = "on_shelf"
    found_at = NOW
    seen_at = NOW


class ListingWatchFactory(factory.django.DjangoModelFactory):
    """The watch of a listing that is due at NOW."""

    class Meta:
        model = ListingWatch

    listing = factory.SubFactory(ListingFactory)
    channel = factory.SelfAttribute("listing.channel")
    next_due_at = NOW


class ThresholdFactory(factory.django.DjangoModelFactory):
    """A list price below 200.00 on a channel."""

    class Meta:
        model = Threshold

    kind = Threshold.Kind.PRICE_RANGE
    channel = factory.SubFactory(ChannelFactory)
    min_price = Decimal("200.00")


class AlertFactory(factory.django.DjangoModelFactory):
    """An open alert since NOW: the list price of a listing of its threshold's channel fell below 200.00."""

    class Meta:
        model = Alert

    listing = factory.SubFactory(ListingFactory)
    channel = factory.SelfAttribute("listing.channel")
    threshold = factory.SubFactory(ThresholdFactory, channel=factory.SelfAttribute("..channel"))
    kind = factory.SelfAttribute("threshold.kind")
    severity = factory.SelfAttribute("threshold.severity")
    fact = "list_price"
    old_value = "268.00"
    new_value = "189.00"
    limit = "200.00"
    currency = "CNY"
    opened_at = NOW
    last_at = factory.SelfAttribute("opened_at")
    updated_at = factory.SelfAttribute("opened_at")


class TargetFactory(factory.django.DjangoModelFactory):
    """A DingTalk robot that nothing leads to yet."""

    class Meta:
        model = Target

    name = factory.Sequence(lambda n: f"运营群 {n}")
    kind = Target.Kind.DINGTALK
    address = factory.Sequence(lambda n: f"https://oapi.dingtalk.com/robot/send?access_token={n:064x}")
    language = "en"


class RouteFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Route

    target = factory.SubFactory(TargetFactory)


class NotificationFactory(factory.django.DjangoModelFactory):
    """News of an alert that was opened at NOW and is due."""

    class Meta:
        model = Notification

    alert = factory.SubFactory(AlertFactory)
    target = factory.SubFactory(TargetFactory)
    event = Notification.Event.OPENED
    due_at = NOW


class DeliveryFactory(factory.django.DjangoModelFactory):
    """A message that was sent at NOW."""

    class Meta:
        model = Delivery

    target = factory.SubFactory(TargetFactory)
    subject = "Warning: Below ¥200 · 手冲咖啡壶"
    text = "Live price ¥268.00 → ¥189.00, limit ¥200.00"
    status = Delivery.Status.SENT
    attempts = 1
    created_at = NOW
    next_due_at = NOW
    sent_at = NOW


class PurchaseOrderFactory(factory.django.DjangoModelFactory):
    """A draft without lines."""

    class Meta:
        model = PurchaseOrder

    supplier = factory.SubFactory(SupplierFactory)
    warehouse = factory.SubFactory(WarehouseFactory)


class PurchaseOrderLineFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = PurchaseOrderLine

    order = factory.SubFactory(PurchaseOrderFactory)
    sku = factory.SubFactory(SkuFactory)
    quantity = 10


class SupplierSkuFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = SupplierSku

    supplier = factory.SubFactory(SupplierFactory)
    sku = factory.SubFactory(SkuFactory)


class LaneFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Lane

    source = factory.SubFactory(WarehouseFactory)
    destination = factory.SubFactory(WarehouseFactory)
    days = 2
    unit_cost = Decimal("0.50")


class DemandHistoryFactory(factory.django.DjangoModelFactory):
    """Two units on each of the four weeks before NOW."""

    class Meta:
        model = DemandHistory

    sku = factory.SubFactory(SkuFactory)
    warehouse = factory.SubFactory(WarehouseFactory)
    source = DemandHistory.Source.ORDERS
    first_day = NOW.date() - timedelta(days=28)
    last_day = NOW.date() - timedelta(days=1)
    units = (2).to_bytes(4, "little") * 28
    marks = bytes(28)
    built_at = NOW


class SkuPlanFactory(factory.django.DjangoModelFactory):
    """Of NOW: 2 units a day, and 20 of them here."""

    class Meta:
        model = SkuPlan

    sku = factory.SubFactory(SkuFactory)
    warehouse = factory.SubFactory(WarehouseFactory)
    planned_at = NOW
    status = SkuPlan.Status.PLANNED
    on_hand = 20
    reserved = 0
    per_day = 2.0
    lead_time_days = 14.0
    protection_days = 14
    service_target = Decimal("0.95")
    expected = 28.0
    safety_stock = 8.0
    safety_stock_textbook = 11.0
    reorder_point = 36.0
    cover_days = 10.0
    stock_out_on = NOW.date() + timedelta(days=10)
    stock_out_probability = 0.9
    order_by = NOW.date()
    quantity = 16


class AdviceFactory(factory.django.DjangoModelFactory):
    """To buy 16 today."""

    class Meta:
        model = Advice

    sku = factory.SubFactory(SkuFactory)
    warehouse = factory.SubFactory(WarehouseFactory)
    kind = Advice.Kind.BUY
    subject = factory.LazyAttribute(lambda advice: str(advice.kind))
    quantity = 16
    by = NOW.date()
    made_at = NOW
    changed_at = NOW
