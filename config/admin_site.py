"""The admin site, and the registry by which each app adds to the pages of the apps below it.

An app registers in its `admin.py`. Pages are "dashboard", "listing", "channel", "product" and "sku".

A panel's template is drawn inside a card (`<section class="card">`): it starts with
`<header class="card-head"><h2>Title <small>count</small></h2><a href="…">All</a></header>`, then rows, a `<table>`, or text
in `<div class="card-body">`. A template of the area "facts" draws one or more
`<div class="fact"><span class="label">…</span><strong>…</strong><small>…</small></div>`; the facts of a page share one card.
Templates see their context, and `obj`, `request`, `user`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

Text = str | Promise
Area = Literal["facts", "main", "side", "full"]
Severity = Literal["critical", "warning", "info", "ok", "unknown", "muted"]

MENU_GROUPS: dict[str, Text] = {
    "watch": _("Watch"),
    "price": _("Price"),
    "sync": _("Stock & sync"),
    "plan": _("Plan"),
    "settings": _("Settings"),
}
AREAS: tuple[Area, ...] = ("facts", "main", "side", "full")
# Worst first: of several badges, a page head shows the first.
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info", "unknown", "muted", "ok")


@dataclass(frozen=True)
class Badge:
    """One state in a word or two; the severity decides its colour and shape."""

    severity: Severity
    text: Text

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"{self.severity!r} is not one of {', '.join(SEVERITIES)}")


@dataclass(frozen=True)
class MenuItem:
    label: Text
    url_name: str
    permission: str | None  # "app.codename"; None: for everybody who is let in
    order: int
    count: Callable[[HttpRequest], int | None] | None


@dataclass(frozen=True)
class Panel:
    template: str
    context: Callable[[HttpRequest, Any], dict[str, Any] | None]
    area: Area
    order: int


@dataclass(frozen=True)
class Button:
    label: Text
    url: Callable[[HttpRequest, Any], str | None]
    method: Literal["post", "get"]
    primary: bool
    order: int


@dataclass(frozen=True)
class ShownButton:
    """A button with its address worked out for one object."""

    label: Text
    url: str
    method: Literal["post", "get"]
    primary: bool


@dataclass(frozen=True)
class Column:
    name: str
    label: Text
    func: Callable[[Any], str]
    order: int
    prepare: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]] | None


@dataclass(frozen=True)
class Tab:
    slug: str
    label: Text
    narrow: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]
    order: int


@dataclass(frozen=True)
class Action:
    name: str
    label: Text
    func: Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]
    permission: str
    order: int


@dataclass
class Registry:
    """What the apps have added, by page or by model."""

    menu: dict[str, list[MenuItem]] = field(default_factory=lambda: {group: [] for group in MENU_GROUPS})
    panels: dict[str, list[Panel]] = field(default_factory=lambda: defaultdict(list))
    buttons: dict[str, list[Button]] = field(default_factory=lambda: defaultdict(list))
    badges: dict[str, list[Callable[[HttpRequest, Any], Badge | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    columns: dict[type[Model], list[Column]] = field(default_factory=lambda: defaultdict(list))
    tabs: dict[type[Model], list[Tab]] = field(default_factory=lambda: defaultdict(list))
    actions: dict[type[Model], list[Action]] = field(default_factory=lambda: defaultdict(list))


registry = Registry()


def add_menu_item(
    group: str,
    label: Text,
    url_name: str,
    *,
    permission: str | None,
    order: int = 50,
    count: Callable[[HttpRequest], int | None] | None = None,
) -> None:
    """Put a page into a group of the menu; `count` is drawn in grey behind it unless it is None or 0.

    Raises KeyError for a group that is not one of MENU_GROUPS.
    """
    _insert(registry.menu[group], MenuItem(label, url_name, permission, order, count))


def add_panel(
    page: str,
    template: str,
    context: Callable[[HttpRequest, Any], dict[str, Any] | None],
    *,
    area: Area,
    order: int = 50,
) -> None:
    """Put a panel on a page; it is left out where `context(request, obj)` is None. On the dashboard `obj` is None."""
    _insert(registry.panels[page], Panel(template, context, area, order))


def add_button(
    page: str,
    label: Text,
    url: Callable[[HttpRequest, Any], str | None],
    *,
    method: Literal["post", "get"] = "post",
    primary: bool = False,
    order: int = 50,
) -> None:
    """Put a button into the head of a page; it is left out where `url(request, obj)` is None."""
    _insert(registry.buttons[page], Button(label, url, method, primary, order))


def add_badge(page: str, badge: Callable[[HttpRequest, Any], Badge | None]) -> None:
    """Let a state of the object compete for the badge beside a page's title: the worst one is shown."""
    registry.badges[page].append(badge)


def add_column(
    model: type[Model],
    name: str,
    label: Text,
    func: Callable[[Any], str],
    *,
    order: int = 50,
    prepare: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]] | None = None,
) -> None:
    """Add a column to a model's list. `prepare` annotates or prefetches, so that `func` asks the database nothing."""
    _insert(registry.columns[model], Column(name, label, func, order, prepare))


def add_tab(
    model: type[Model],
    slug: str,
    label: Text,
    narrow: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]],
    *,
    order: int = 50,
) -> None:
    """Add a saved view above a model's list; its count is worked out with the list."""
    _insert(registry.tabs[model], Tab(slug, label, narrow, order))


def add_action(
    model: type[Model],
    name: str,
    label: Text,
    func: Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None],
    *,
    permission: str,
    order: int = 50,
) -> None:
    """Add a bulk action to a model's list, for people who hold `permission` ("app.codename")."""
    _insert(registry.actions[model], Action(name, label, func, permission, order))


def _insert(entries: list[Any], entry: Any) -> None:
    entries.append(entry)
    entries.sort(key=lambda each: each.order)  # stable: equal orders stay in the order of registration


def page_panels(page: str, request: HttpRequest, obj: Any = None) -> dict[str, list[SafeString]]:
    """The drawn panels of a page by area, without those that have nothing to show."""
    drawn: dict[str, list[SafeString]] = {area: [] for area in AREAS}
    for panel in registry.panels[page]:
        context = panel.context(request, obj)
        if context is not None:
            html = render_to_string(panel.template, {"obj": obj, **context}, request)
            drawn[panel.area].append(mark_safe(html))  # noqa: S308 - a template's own output
    return drawn


def page_buttons(page: str, request: HttpRequest, obj: Any = None) -> list[ShownButton]:
    """The buttons of a page head that apply to the object, for this person."""
    urls = ((button, button.url(request, obj)) for button in registry.buttons[page])
    return [ShownButton(button.label, url, button.method, button.primary) for button, url in urls if url is not None]


def worst(badges: Iterable[Badge | None]) -> Badge | None:
    """The most severe of the badges; of equals, the first."""
    shown = [badge for badge in badges if badge is not None]
    return min(shown, key=lambda badge: SEVERITIES.index(badge.severity), default=None)


def page_badge(page: str, request: HttpRequest, obj: Any) -> Badge | None:
    """The worst state that any app knows of the object."""
    return worst(badge(request, obj) for badge in registry.badges[page])


class EvenshelfAdminSite(AdminSite):
    site_header = site_title = "Evenshelf"
    empty_value_display = "—"
    enable_nav_sidebar = False  # ours stands in its place

    def menu(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The menu's groups with the items this person may open; an empty group is left out."""
        groups = []
        for slug, label in MENU_GROUPS.items():
            items = [
                {
                    "label": item.label,
                    "url": reverse(item.url_name),
                    "count": item.count(request) if item.count else None,
                }
                for item in registry.menu[slug]
                if item.permission is None or request.user.has_perm(item.permission)
            ]
            if items:
                groups.append({"slug": slug, "label": label, "items": items})
        # A page belongs to the item with the longest address that it starts with; only the dashboard is "/".
        shown = [item for group in groups for item in group["items"]]
        owner = max(
            (item for item in shown if _is_below(request.path, item["url"])),
            key=lambda item: len(item["url"]),
            default=None,
        )
        for item in shown:
            item["is_current"] = item is owner
        return groups

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            context["menu"] = self.menu(request)
        return context


def _is_below(path: str, url: str) -> bool:
    return path == url or (url != reverse("admin:index") and path.startswith(url))
