"""What a shop says about itself: the index, its status, currency, settings and categories. All of it is read only."""

from datetime import datetime
from typing import Any

from integrations.simulator.woocommerce import views
from integrations.simulator.woocommerce.calls import READ, Answer, Call, Route, page
from integrations.simulator.woocommerce.errors import Refusal
from integrations.simulator.woocommerce.parameters import COLLECTION, IDS, TEXT, Parameter
from integrations.simulator.woocommerce.sites import VERSION, WORDPRESS_VERSION, Site
from integrations.simulator.world import World

NAMESPACES = ("wp/v2", "wc/v1", "wc/v2", "wc/v3", "wc/store/v1")
CURRENCIES = {
    "EUR": ("Euro", "&euro;", "€"),
    "USD": ("United States (US) dollar", "&#36;", "$"),
    "GBP": ("Pound sterling", "&pound;", "£"),
    "CNY": ("Chinese yuan", "&yen;", "¥"),
    "JPY": ("Japanese yen", "&yen;", "¥"),
}
CATEGORY_LIST = {
    **{name: COLLECTION[name] for name in ("context", "page", "per_page", "offset", "search", "include", "exclude")},
    "order": Parameter("string", ("asc", "desc"), default="asc"),
    "orderby": Parameter("string", ("id", "include", "name", "slug", "count"), default="name"),
    "parent": IDS,
    "slug": TEXT,
}


def index(site: Site, call: Call) -> dict[str, Any]:
    """`/wp-json/`: anybody may read it. The time zone of the shop's dates stands here."""
    offset = datetime.now(site.zone).utcoffset()
    return {
        "name": site.name,
        "description": "",
        "url": call.home,
        "home": call.home,
        "gmt_offset": None if offset is None else offset.total_seconds() / 3600,
        "timezone_string": site.time_zone,
        "namespaces": list(NAMESPACES),
        "authentication": [],
        "routes": {},
    }


class ShopRoutes:
    """The routes about the shop itself."""

    def routes(self) -> list[Route]:
        return [
            Route(READ, "system_status", "list", {}, self.system_status),
            Route(READ, "data/currencies", "list", {}, self.currencies),
            Route(READ, "data/currencies/current", "view", {}, self.current_currency),
            Route(READ, "settings/general", "list", {}, self.general),
            Route(READ, "settings/general/{option}", "view", {}, self.one_setting),
            Route(READ, "products/categories", "list", CATEGORY_LIST, self.categories),
            Route(READ, "products/categories/{id}", "view", {}, self.one_category),
        ]

    @staticmethod
    def system_status(world: World, call: Call) -> Answer:
        """PHP's own zone is UTC under WordPress, whatever the shop's is."""
        currency = call.site.currency
        return Answer(
            {
                "environment": {
                    "home_url": call.home,
                    "site_url": call.home,
                    "version": VERSION,
                    "wp_version": WORDPRESS_VERSION,
                    "wp_multisite": False,
                    "wp_cron": True,
                    "language": "en_US",
                    "server_info": "nginx",
                    "php_version": "8.3.9",
                    "default_timezone": "UTC",
                    "secure_connection": call.home.startswith("https://"),
                },
                "settings": {
                    "api_enabled": False,
                    "force_ssl": False,
                    "currency": currency,
                    "currency_symbol": CURRENCIES.get(currency, (currency, currency, currency))[1],
                    "currency_position": "left",
                    "thousand_separator": ",",
                    "decimal_separator": ".",
                    "number_of_decimals": 2,
                },
            }
        )

    @staticmethod
    def currencies(world: World, call: Call) -> Answer:
        return Answer([_currency(code) for code in CURRENCIES])

    @staticmethod
    def current_currency(world: World, call: Call) -> Answer:
        return Answer(_currency(call.site.currency))

    def general(self, world: World, call: Call) -> Answer:
        return Answer(_settings(call.site))

    @staticmethod
    def one_setting(world: World, call: Call) -> Answer:
        wanted = call.route.rpartition("/")[2]
        for setting in _settings(call.site):
            if setting["id"] == wanted:
                return Answer(setting)
        raise Refusal("rest_setting_setting_invalid", "Invalid setting.", 404)

    @staticmethod
    def categories(world: World, call: Call) -> Answer:
        asked, counts = call.checked, _counts(world, call.site)
        found = [
            id
            for id, name in call.site.categories.items()
            if id in asked.get("include", [id])
            and id not in asked.get("exclude", ())
            and asked.get("search", "").lower() in name.lower()
            and asked.get("slug", name.lower()) == name.lower()
        ]
        by_name = asked["orderby"] in ("name", "slug")
        found.sort(key=lambda id: call.site.categories[id] if by_name else str(id), reverse=asked["order"] == "desc")
        return page(call, found, lambda id: _category(call.site, id, counts))

    @staticmethod
    def one_category(world: World, call: Call) -> Answer:
        if call.id() not in call.site.categories:
            raise Refusal("woocommerce_rest_term_invalid", "Resource does not exist.", 404)
        return Answer(_category(call.site, call.id(), _counts(world, call.site)))


def _currency(code: str) -> dict[str, str]:
    name, symbol, _ = CURRENCIES.get(code, (code, code, code))
    return {"code": code, "name": name, "symbol": symbol}


def _settings(site: Site) -> list[dict[str, Any]]:
    """The general settings a caller is likely to want."""
    values = {
        "woocommerce_currency": ("Currency", "select", site.currency),
        "woocommerce_currency_pos": ("Currency position", "select", "left"),
        "woocommerce_price_thousand_sep": ("Thousand separator", "text", ","),
        "woocommerce_price_decimal_sep": ("Decimal separator", "text", "."),
        "woocommerce_price_num_decimals": ("Number of decimals", "number", "2"),
    }
    return [
        {"id": id, "label": label, "description": "", "type": kind, "default": value, "value": value}
        for id, (label, kind, value) in values.items()
    ]


def _counts(world: World, site: Site) -> dict[int, int]:
    counts: dict[int, int] = {}
    for item in world.own_items(site.shop):
        for id in site.details_of(item).categories:
            counts[id] = counts.get(id, 0) + 1
    return counts


def _category(site: Site, id: int, counts: dict[int, int]) -> dict[str, Any]:
    return {
        **views.category(site, id),
        "parent": 0,
        "description": "",
        "display": "default",
        "image": None,
        "menu_order": 0,
        "count": counts.get(id, 0),
    }
