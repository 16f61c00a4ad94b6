"""The world at its first moment: the same shops, items and coupons for the same seed and number of listings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from integrations.simulator.world import (
    IN_STOCK,
    ON_SALE,
    PRODUCT_CREATED,
    SHOPIFY,
    TAOBAO,
    WOOCOMMERCE,
    AffiliateCoupon,
    Item,
    Row,
    Shop,
    ShopCoupon,
    World,
)

DAY = 86_400

SHOPS = [
    Shop("tmall-nuanju", "taobao", "暖居家居旗舰店", 706_388_888, "CNY", True, "tmall"),
    Shop("taobao-shanye", "taobao", "山野小铺", 2_206_510_417, "CNY", True, "taobao"),
    Shop("taobao-chufang", "taobao", "厨房日记杂货", 3_918_204_655, "CNY", True, "taobao"),
    Shop("rival-linjian", "taobao", "林间露营旗舰店", 2_455_901_338, "CNY", False, "tmall"),
    Shop("rival-anju", "taobao", "安居日用专营店", 1_093_377_126, "CNY", False, "tmall"),
]

STORES = [
    Shop("shopify-nuanju", SHOPIFY, "nuanju-home", 61_204_118_741, "USD", True, "", [82_110_445_001, 82_110_445_002]),
    Shop("shopify-tokyo", SHOPIFY, "nuanju-tokyo", 61_204_118_802, "JPY", True, "", [82_110_447_311, 82_110_447_312]),
    Shop("woo-yatai", WOOCOMMERCE, "Yatai Wohnen", 1, "EUR", True, ""),
    Shop("woo-hudson", WOOCOMMERCE, "Hudson Home", 2, "USD", True, ""),
]
STORE_ITEMS = {
    "shopify-nuanju": 24,
    "shopify-tokyo": 6,
    "woo-yatai": 20,
    "woo-hudson": 5,
}  # besides the one with many variants
FEN_PER_UNIT = {"USD": 5, "EUR": 6, "JPY": 5}  # a price in fen divided by it is one in the currency's smallest unit
MANY_VARIANTS = 120
SLOW = 0.03  # the demand of goods that are many, as a share of the usual


@dataclass(frozen=True)
class Goods:
    """One kind of goods. Prices in fen; a property is 'pid' with its 'vid: name' choices."""

    code: str
    name: str
    cid: int
    low: int
    high: int
    property_id: int = 0
    property_name: str = ""
    choices: tuple[tuple[int, str], ...] = ()
    kinds: frozenset[str] = frozenset({"home"})


COLOURS = ((28320, "白色"), (28341, "黑色"), (3232483, "军绿色"), (28338, "蓝色"), (130164, "卡其色"))
SIZES = ((28314, "S"), (28315, "M"), (28316, "L"), (28317, "XL"))
LITRES = ((3267162, "350ml"), (3267163, "500ml"), (3267164, "750ml"), (3267165, "1L/家庭装"))
PEOPLE = ((4101, "2人款"), (4102, "3-4人款"), (4103, "5-8人款"))
ENGLISH = {
    "白色": "White",
    "黑色": "Black",
    "军绿色": "Army green",
    "蓝色": "Blue",
    "卡其色": "Khaki",
    "2人款": "2 people",
    "3-4人款": "3-4 people",
    "5-8人款": "5-8 people",
    "1L/家庭装": "1 L / family",
    "容量": "Capacity",
    "规格": "Size",
    "颜色分类": "Colour",
    "尺寸": "Size",
    "CUP": "Insulated steel bottle",
    "TENT": "Pop-up tent",
    "CHAIR": "Folding moon chair",
    "LAMP": "Camping lantern",
    "POT": "Enamelled cast-iron pot",
    "PAN": "Non-stick pan",
    "KNIFE": "Damascus kitchen knife",
    "BOARD": "Ebony chopping board",
    "BOX": "Drawer organiser",
    "TOWEL": "Long-staple cotton towel",
    "QUILT": "Cotton bedding set",
    "MAT": "Self-inflating mat",
    "STOVE": "Portable gas stove",
    "KETTLE": "Gooseneck kettle",
    "BOWL": "Porcelain bowl set",
    "HOOK": "Adhesive hook",
    "FILTER": "Water filter cartridge",
    "CART": "Folding wagon",
    "GRILL": "Smokeless electric grill",
    "AROMA": "Reed diffuser",
    "TILE": "Tile sample",
    "TWIN": "Pair of bookends",
}
CAMPING, KITCHEN, HOME = frozenset({"camping"}), frozenset({"kitchen"}), frozenset({"home"})

GOODS = (
    Goods("CUP", "304不锈钢保温杯", 50008881, 3900, 12900, 148242406, "容量", LITRES, HOME),
    Goods("TENT", "全自动速开户外帐篷 加厚防雨", 50015990, 19900, 69900, 1627207, "规格", PEOPLE, CAMPING),
    Goods("CHAIR", "折叠月亮椅 便携露营靠背椅", 50015991, 7900, 19900, 1627207, "颜色分类", COLOURS, CAMPING),
    Goods("LAMP", "充电式LED露营灯 氛围帐篷灯", 50015992, 4900, 15900, 0, "", (), CAMPING),
    Goods("POT", "铸铁珐琅锅 家用焖烧炖锅", 50012345, 15900, 49900, 1627207, "颜色分类", COLOURS, KITCHEN),
    Goods("PAN", "不粘平底锅 麦饭石煎锅", 50012346, 6900, 22900, 20509, "尺寸", SIZES, KITCHEN),
    Goods("KNIFE", "大马士革纹厨刀 切片刀", 50012347, 8900, 32900, 0, "", (), KITCHEN),
    Goods("BOARD", "乌檀木整木砧板 双面加厚", 50012348, 5900, 18900, 20509, "尺寸", SIZES, KITCHEN),
    Goods("BOX", "桌面收纳盒 抽屉式透明储物箱", 50020123, 1990, 8900, 20509, "尺寸", SIZES, HOME),
    Goods("TOWEL", "新疆长绒棉浴巾 吸水不掉毛", 50020124, 2990, 9900, 1627207, "颜色分类", COLOURS, HOME),
    Goods("QUILT", "全棉四件套 60支长绒棉床上用品", 50020125, 25900, 79900, 1627207, "颜色分类", COLOURS, HOME),
    Goods("MAT", "自动充气防潮垫 户外加宽睡垫", 50015993, 9900, 32900, 1627207, "颜色分类", COLOURS, CAMPING),
    Goods("STOVE", "便携卡式炉 户外防风炉", 50015994, 8900, 25900, 0, "", (), CAMPING),
    Goods("KETTLE", "手冲咖啡壶 细口温控电水壶", 50012349, 12900, 39900, 1627207, "颜色分类", COLOURS, KITCHEN),
    Goods("BOWL", "釉下彩陶瓷碗套装 微波炉可用", 50012350, 2990, 12900, 0, "", (), KITCHEN),
    Goods("HOOK", "免打孔强力挂钩 承重20斤", 50020126, 590, 2990, 0, "", (), HOME),
    Goods("FILTER", "净水壶滤芯 四层过滤", 50020127, 3990, 11900, 0, "", (), HOME),
    Goods("CART", "折叠露营推车 聚拢式营地车", 50015995, 19900, 45900, 1627207, "颜色分类", COLOURS, CAMPING),
    Goods("GRILL", "家用无烟电烤盘 多功能料理锅", 50012351, 15900, 45900, 0, "", (), KITCHEN),
    Goods("AROMA", "无火香薰精油 卧室持久留香", 50020128, 3900, 15900, 0, "", (), HOME),
)

STYLES = ("北欧简约", "加厚款", "2026新款", "ins风", "网红同款", "大容量", "轻奢", "日式", "户外专用", "升级款")
LONG_TAIL = "送礼佳品 家用厨房客厅卧室宿舍办公室车载多场景通用 支持七天无理由退换 顺丰包邮（偏远地区除外）"
SHOP_KINDS = {
    "tmall-nuanju": HOME | KITCHEN,
    "taobao-shanye": CAMPING,
    "taobao-chufang": KITCHEN | HOME,
    "rival-linjian": CAMPING,
    "rival-anju": HOME | KITCHEN,
}
SHARES = {
    "tmall-nuanju": 0.40,
    "taobao-shanye": 0.20,
    "taobao-chufang": 0.15,
    "rival-linjian": 0.12,
    "rival-anju": 0.13,
}

FIRST_BIG_ID = 9_007_199_254_740_993  # 2**53 + 1: a double cannot hold it
BIG_ID_EVERY = 13  # items


def new_world(*, seed: int, listings: int, now: int) -> World:
    """Taobao with exactly `listings` sellable rows (at least 20), and the stores, at `now` in epoch seconds."""
    if listings < 20:
        raise ValueError("a world needs at least 20 listings")
    world = World(seed=seed, now=now, shops={shop.key: shop for shop in SHOPS})
    rng = random.Random(seed)
    left = listings
    for shop in SHOPS:
        wanted = left if shop is SHOPS[-1] else round(listings * SHARES[shop.key])
        left -= wanted
        while wanted:
            item = _new_item(world, shop, rng, wanted)
            world.items[item.num_iid] = item
            wanted -= len(item.rows)
    _add_coupons(world, rng)
    add_stores(world)
    return world


def add_stores(world: World) -> None:
    """Shopify's and WooCommerce's shops, which sell what Taobao's own shops sell, under the same codes and barcodes."""
    for shop in STORES:
        world.shops[shop.key] = shop
        rng = random.Random(f"{world.seed} {shop.key}")
        own = [item for item in world.items_of(TAOBAO) if world.shops[item.shop].own][: STORE_ITEMS[shop.key]]
        for number, model in enumerate(own, 1):
            choices = [_variant_of(model, row) for row in model.rows]
            _add_store_item(world, shop, rng, number, model.outer_id, choices)
        sizes = [(f"TILE-{number:03d}/瓷砖", "", f"Pattern {number}", 4900) for number in range(1, MANY_VARIANTS + 1)]
        _add_store_item(world, shop, rng, len(own) + 1, "TILE", sizes, SLOW)
        if shop.platform == SHOPIFY:
            # Shopify does not mind two variants under one SKU.
            twins = [("TWIN-1", "", "Left", 5900), ("TWIN-1", "", "Right", 5900)]
            _add_store_item(world, shop, rng, len(own) + 2, "TWIN", twins)
        _add_store_coupons(world, shop)
    world.changed()


def add_products(world: World, shop: Shop, variants: int, variants_each: int = 1) -> None:
    """Further products of a store, `variants` variants in all."""
    last = sum(1 for _ in world.own_items(shop.key))
    rng = random.Random(f"{world.seed} {shop.key} {last}")
    for number, start in enumerate(range(0, variants, variants_each), last + 1):
        code = f"MORE-{number:06d}"
        count = min(variants_each, variants - start)
        choices = [(f"{code}-{number}", "", f"No. {number}", 9900) for number in range(1, count + 1)]
        item = _add_store_item(world, shop, rng, number, code, choices, SLOW)
        world.report(item, PRODUCT_CREATED)
    world.changed()


def _variant_of(model: Item, row: Row) -> tuple[str, str, str, int]:
    """(code, name of the property, its value, price in fen) of a store's variant of one of Taobao's rows."""
    _, _, name, value = row.properties_name.split(":") if row.properties_name else ("", "", "", "")
    return row.outer_id, ENGLISH.get(name, name), ENGLISH.get(value, value), row.price


def _add_store_item(
    world: World,
    shop: Shop,
    rng: random.Random,
    number: int,
    code: str,
    choices: Sequence[tuple[str, str, str, int]],
    demand: float = 1.0,
) -> Item:
    if shop.platform == SHOPIFY:
        start = FIRST_BIG_ID + 10_000_000 if number % 7 == 0 else 7_800_000_000_000
        num_iid = start + shop.user_id % 1000 * 10**9 + number * 10_000
        sku_ids = [num_iid + 20 * 10**12 + 2 * index for index in range(len(choices))]
    else:
        # WordPress counts everything in one series: products, variations, pictures, orders.
        num_iid = (shop.user_id - 1) * 100_000_000 + number * 1_000
        sku_ids = [num_iid + 1 + index for index in range(len(choices))] if len(choices) > 1 else [0]
    changed = world.now - rng.randint(1, 20) * DAY
    item = Item(
        num_iid=num_iid,
        shop=shop.key,
        title=f"{ENGLISH.get(code.partition('-')[0], 'Household item')} {number}",
        cid=0,
        outer_id=code,
        sub_stock=2 if shop.platform == WOOCOMMERCE else 1,
        approve_status=ON_SALE,
        modified=changed,
        created=changed - rng.randint(1, 300) * DAY,
        list_time=changed,
        delist_time=changed,
        sold_quantity=0,
        rows=[],
    )
    for sku_id, (outer_id, name, value, fen) in zip(sku_ids, choices, strict=True):
        price = max(100, fen // FEN_PER_UNIT[shop.currency] // 100 * 100)
        price -= 1 if shop.decimals else 0
        properties_name = f"0:0:{name or 'Style'}:{value}" if value else ""
        row = _new_row(rng, item, sku_id, price, outer_id, "", properties_name)
        row.daily_demand *= demand
        # A quarter of them have none, as in shops that never entered them; the others' follow from the code.
        row.barcode = "" if sum(outer_id.encode()) % 4 == 0 else ean13(outer_id)
        if shop.platform == SHOPIFY:
            second = row.quantity // 4
            row.levels = dict(zip(shop.locations, (row.quantity - second, second), strict=True))
        item.rows.append(row)
    if number % 8 == 0:
        _start_with_promotion(world, item, rng)
    world.items[item.num_iid] = item
    return item


def ean13(code: str) -> str:
    """A valid EAN-13, the same for the same code."""
    digits = f"690{random.Random(code).randrange(10**9):09d}"
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _add_store_coupons(world: World, shop: Shop) -> None:
    number = 1_100_000_000_000 + shop.user_id % 1000 * 1_000
    first, *others = world.own_items(shop.key)
    variant = next(item.rows[1] for item in others if len(item.rows) > 1)
    unit = 100
    created, ends_at = world.now - 3 * DAY, world.now + 60 * DAY
    world.shop_coupons += [
        ShopCoupon(number + 1, shop.key, 5 * unit, 50 * unit, created, ends_at, code="WELCOME5"),
        ShopCoupon(number + 2, shop.key, 0, 0, created, ends_at, percent=20, code="SAVE20", num_iids=[first.num_iid]),
        ShopCoupon(number + 3, shop.key, 0, 30 * unit, created, ends_at, percent=10),
        ShopCoupon(number + 4, shop.key, 0, 0, created, ends_at, percent=15, code="ONE15", sku_ids=[variant.sku_id]),
    ]


def _new_item(world: World, shop: Shop, rng: random.Random, rows_wanted: int) -> Item:
    number = len(world.items) + 1
    range_of_shop = [goods for goods in GOODS if goods.kinds & SHOP_KINDS[shop.key]]
    goods = range_of_shop[number % len(range_of_shop)]
    price = _shelf_price(rng.randint(goods.low, goods.high))
    title = f"{shop.nick.removesuffix('旗舰店').removesuffix('专营店')} {rng.choice(STYLES)} {goods.name}"
    if number % 7 == 0:
        title = f"{title} {LONG_TAIL}"
    is_big = number % BIG_ID_EVERY == 0
    created = world.now - rng.randint(30 * DAY, 400 * DAY)
    listed = world.now - rng.randint(1, 6) * DAY - rng.randint(0, DAY)
    item = Item(
        num_iid=FIRST_BIG_ID + 2 * number if is_big else 600_000_000_000 + number * 137_000_000 + rng.randrange(10**8),
        shop=shop.key,
        title=title,
        cid=goods.cid,
        outer_id=f"{goods.code}-{number:04d}",
        sub_stock=2 if shop.kind == "tmall" else 1,
        approve_status=ON_SALE,
        modified=listed,
        created=created,
        list_time=listed,
        delist_time=listed + 7 * DAY,
        sold_quantity=rng.randint(0, 5000),
        rows=[],
    )
    # Competitors are watched by item: most of theirs have no variants.
    choices = goods.choices if shop.own or rng.random() < 0.3 else ()
    choices = choices[:rows_wanted]
    if len(choices) < 2:
        item.rows.append(_new_row(rng, item, 0, price, item.outer_id, "", ""))
    for index, (value_id, value_name) in enumerate(choices if len(choices) >= 2 else ()):
        sku_id = (
            FIRST_BIG_ID + 100_000 + 2 * (number * 10 + index) if is_big else 4_400_000_000_000 + number * 1_000 + index
        )
        # A tenth of the merchants' own codes are awkward on purpose: slashes, spaces and Chinese characters.
        code = f"{item.outer_id}/{value_name}" if number % 3 == 0 else f"{item.outer_id}-{index + 1}"
        step = 0 if goods.property_id == 1627207 and goods.kinds != CAMPING else index * (price // 10)
        item.rows.append(
            _new_row(
                rng,
                item,
                sku_id,
                _shelf_price(price + step),
                code,
                f"{goods.property_id}:{value_id}",
                f"{goods.property_id}:{value_id}:{goods.property_name}:{value_name}",
            )
        )
    if rng.random() < 0.12:
        _start_with_promotion(world, item, rng)
    if rng.random() < 0.04:
        item.approve_status, item.shelf_reason = IN_STOCK, "off_shelf"
        item.back_on_shelf_at = world.now + rng.randint(2, 72) * 3600
    return item


def _new_row(
    rng: random.Random, item: Item, sku_id: int, price: int, outer_id: str, properties: str, properties_name: str
) -> Row:
    daily_demand = min(25.0, rng.lognormvariate(0.6, 0.9))
    return Row(
        sku_id=sku_id,
        outer_id=outer_id,
        properties=properties,
        properties_name=properties_name,
        price=price,
        live_price=price,
        quantity=0 if rng.random() < 0.02 else rng.randint(6, 30) + int(daily_demand * rng.uniform(5, 30)),
        held=0,
        modified=item.modified,
        reference_price=price,
        daily_demand=daily_demand,
        elasticity=rng.uniform(1.1, 2.4),
    )


def _start_with_promotion(world: World, item: Item, rng: random.Random) -> None:
    off = rng.choice((5, 8, 10, 12, 15, 20))
    for row in item.rows:
        row.set_prices(row.price, promotion_price(row.price, off))
    item.promotion_ends_at = world.now + rng.randint(6, 96) * 3600


def promotion_price(price: int, percent_off: int) -> int:
    """The list price less a percentage, in whole fen, down to a tenth of a yuan where that leaves something."""
    reduced = price * (100 - percent_off) // 100
    return reduced - reduced % 10 or reduced


def _shelf_price(price: int) -> int:
    """The nearest price below that ends in .00 or .90, as shops write them."""
    whole = price // 100 * 100
    return whole - 10 if whole % 1000 == 0 else whole


def _add_coupons(world: World, rng: random.Random) -> None:
    for shop in SHOPS:
        for face, minimum in ((500, 9900), (2000, 19900), (5000, 39900)):
            if shop.own:
                coupon_id = 10_000_000 + len(world.shop_coupons)
                ends_at = world.now + rng.randint(3, 40) * DAY
                world.shop_coupons.append(
                    ShopCoupon(coupon_id, shop.key, face, minimum, world.now - rng.randint(1, 20) * DAY, ends_at)
                )
    for index, item in enumerate(world.items.values()):
        if index % 4 == 0:
            lowest = min(row.price for row in item.rows)
            face = max(100, lowest // 10 // 100 * 100)
            total = rng.choice((500, 1000, 5000, 20_000))
            world.affiliate_coupons.append(
                AffiliateCoupon(
                    activity_id=f"{rng.getrandbits(128):032x}",
                    num_iid=item.num_iid,
                    face=face,
                    minimum=face + 100 if index % 8 else lowest // 2,
                    starts_at=world.now - rng.randint(1, 10) * DAY,
                    ends_at=world.now + rng.randint(2, 30) * DAY,
                    total=total,
                    remaining=rng.randint(1, total),
                    single_item=index % 12 != 0,
                    affiliate_only=index % 16 == 0,
                )
            )
