"""The roles everybody starts with: groups of permissions, made and mended after each migrate."""

from typing import Any

from django.apps import apps
from django.utils.translation import gettext_noop

_VIEW_CATALOG = ["view_product", "view_sku", "view_supplier", "view_channel", "view_listing", "view_proposal"]
_VIEW_WATCH = ["view_observation", "view_pollrun", "view_listingwatch", "view_alert", "view_threshold"]
_VIEW_STOCK = [
    "view_warehouse",
    "view_stocklevel",
    "view_stockmovement",
    "view_transfer",
    "view_bundlecomponent",
    "view_order",
    "view_orderline",
    "view_channellocation",
    "view_stockrule",
    "view_listingsync",
    "view_syncrun",
    "view_purchaseorder",
    "view_suppliersku",
    "view_lane",
]
_BOOK_STOCK = ["add_stockmovement", "add_transfer", "change_transfer"]  # count, adjust, receive, send
_EDIT_STOCK = [
    *_BOOK_STOCK,
    "add_warehouse",
    "change_warehouse",
    *(
        f"{verb}_{model}"
        for model in ("bundlecomponent", "channellocation", "stockrule")
        for verb in ("add", "change", "delete")
    ),
]
_VIEW_PRICES = ["view_promotion", "view_pricequote", "view_channelpricing", "view_pricerun"]
_EDIT_PRICES = [f"{verb}_promotion" for verb in ("add", "change", "delete")]
# They say what a sale costs, as cost prices do.
_VIEW_COSTS = ["view_cost", "view_skucost", "view_channelfees", "view_exchangerate", "view_collision"]
_EDIT_COSTS = [
    f"{verb}_{model}" for model in ("channelfees", "exchangerate", "skucost") for verb in ("add", "change", "delete")
]
_EDIT_PURCHASES = [
    f"{verb}_{model}" for model in ("purchaseorder", "suppliersku", "lane") for verb in ("add", "change", "delete")
]
_VIEW_PLANS = ["view_skuplan", "view_advice", "view_planrun", "view_planpolicy"]
_EDIT_PLANS = [f"{verb}_planpolicy" for verb in ("add", "change", "delete")]
_DECIDE_PLANS = ["change_advice", "add_forecastoverride", "delete_forecastoverride", "add_planrun"]
_EDIT_THRESHOLDS = ["add_threshold", "change_threshold"]
_VIEW_TARGETS = ["view_target", "view_route", "view_delivery"]
_EDIT_TARGETS = [
    *_VIEW_TARGETS,
    *(f"{verb}_{model}" for model in ("target", "route") for verb in ("add", "change", "delete")),
    "change_delivery",  # to send one again
]

# Role -> codenames. Owners are superusers and need no group. A group of another name is left alone.
ROLES: dict[str, list[str]] = {
    gettext_noop("Manager"): [
        *_VIEW_CATALOG,
        *_VIEW_WATCH,
        *_VIEW_STOCK,
        *_VIEW_PRICES,
        *_EDIT_PRICES,
        *_EDIT_TARGETS,
        *_EDIT_THRESHOLDS,
        *_EDIT_PURCHASES,
        *_VIEW_PLANS,
        *_DECIDE_PLANS,
        *_EDIT_PLANS,
        "add_transfer",  # as a plan advises
        "add_stockrule",
        "change_stockrule",
        "delete_threshold",
        "change_alert",
        "change_channelpricing",
        *_VIEW_COSTS,
        *_EDIT_COSTS,
        "view_all_channels",
        "view_auditevent",
        *(f"{verb}_apikey" for verb in ("view", "add", "change")),  # their own
    ],
    gettext_noop("Operator"): [
        "change_channelsync",
        "add_savedfilter",
        *_VIEW_CATALOG,
        *_VIEW_WATCH,
        *_VIEW_STOCK,
        *_VIEW_PRICES,
        *_EDIT_PRICES,
        *_EDIT_THRESHOLDS,
        *_EDIT_STOCK,
        *_VIEW_PLANS,
        "change_advice",
        "change_alert",
        *(f"{verb}_{model}" for model in ("product", "sku", "listing", "listingwatch") for verb in ("add", "change")),
        "change_channel",
        "view_credential",
        *_VIEW_TARGETS,
    ],
    gettext_noop("Buyer"): [
        *_VIEW_CATALOG,
        *_VIEW_WATCH,
        *_VIEW_STOCK,
        *_VIEW_PRICES,
        *_BOOK_STOCK,
        *_VIEW_COSTS,
        *_EDIT_PURCHASES,
        *_VIEW_PLANS,
        *_DECIDE_PLANS,
        "add_supplier",
        "change_supplier",
        "change_sku",
    ],
    gettext_noop("Viewer"): [*_VIEW_CATALOG, *_VIEW_WATCH, *_VIEW_STOCK, *_VIEW_PRICES, *_VIEW_PLANS],
}


def create_roles(app_config: Any = None, **kwargs: Any) -> None:
    """Give each role exactly its permissions; safe to run any number of times.

    As a receiver of post_migrate it acts once, after the last of our apps, when all tables are there.
    """
    if app_config is not None and app_config.label != "integrations":
        return
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group, Permission

    for label in ("auth", "catalog", "monitoring", "integrations"):
        create_permissions(apps.get_app_config(label), verbosity=0)
    by_codename = {
        permission.codename: permission
        for permission in Permission.objects.filter(
            content_type__app_label__in=["catalog", "monitoring", "integrations"]
        )
    }
    for name, codenames in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set([by_codename[codename] for codename in codenames])
