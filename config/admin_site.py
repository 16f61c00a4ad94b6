"""The admin site, and the registry by which each app adds to the pages of the apps below it.

An app registers in its `admin.py`. Pages are "dashboard", "listing", "channel", "product", "sku", "alert" and "header",
which stands above every page (area "head", `obj` is None).

A panel's template is drawn inside a card (`<section class="card">`). It starts with
`<header class="card-head"><h2>Title <small>count</small></h2><a href="…">All</a></header>`, then comes a `<table>`
(numbers and their headings have the class "num"), an `<ul class="rows">`, a `<dl class="pairs">`, or text in
`<div class="card-body">`. A template of the area "facts" draws one or more
`<div class="fact"><span class="label">…</span><strong>…</strong><small>…</small></div>` ("fact key" for the largest);
the facts of a page share one card. A template sees its context, and `obj`, `request`, `user`. Buttons have the class
"btn", the one primary button "btn primary".
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlencode

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from catalog.models import User
from catalog.services import audit

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"
Area = Literal["head", "facts", "main", "side", "full"]
Severity = Literal["critical", "warning", "info", "ok", "unknown", "muted"]

MENU_GROUPS: dict[str, Text] = {
    "watch": _("Watch"),
    "price": _("Price"),
    "sync": _("Stock & sync"),
    "plan": _("Plan"),
    "settings": _("Settings"),
}
AREAS: tuple[Area, ...] = ("head", "facts", "main", "side", "full")
# Worst first: of several badges, a page head shows the first.
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info", "unknown", "muted", "ok")

# Rows of each kind on the page of search results.
SEARCH_ROWS = 8


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


@dataclass
class ShownItem:
    """An item of the menu as one person sees it on one page."""

    label: Text
    url: str
    count: int | None
    is_current: bool = False


@dataclass(frozen=True)
class MenuGroup:
    slug: str
    label: Text
    items: list[ShownItem]


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
    classes: str


@dataclass(frozen=True)
class Tab:
    slug: str
    label: Text
    narrow: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]
    order: int
    is_quiet: bool


@dataclass(frozen=True)
class Action:
    name: str
    label: Text
    func: Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]
    permission: str
    order: int
    is_offered: Callable[[HttpRequest], bool]


@dataclass(frozen=True)
class SetupStep:
    title: Text
    text: Text
    is_done: Callable[[HttpRequest], bool]
    url: Callable[[HttpRequest], str | None]
    button: Text
    order: int


@dataclass(frozen=True)
class ShownStep:
    """A step of the set-up with its state for one person; the first that is not done is the next one."""

    number: int
    title: Text
    text: Text
    is_done: bool
    is_next: bool
    url: str | None
    button: Text


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
    orders: dict[type[Model], list[Any]] = field(default_factory=lambda: defaultdict(list))
    setup_steps: list[SetupStep] = field(default_factory=list)


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
    classes: str = "",
) -> None:
    """Add a column to a model's list, or replace the one of the same name.

    `prepare` annotates or prefetches, so that `func` asks the database nothing. `func.admin_order_field` makes the
    column sortable. `classes` go on its cells: "num" for figures, "wide" for what only a wide screen has room for.
    """
    columns = registry.columns[model]
    columns[:] = [column for column in columns if column.name != name]
    _insert(columns, Column(name, label, func, order, prepare, classes))


def add_tab(
    model: type[Model],
    slug: str,
    label: Text,
    narrow: Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]],
    *,
    order: int = 50,
    is_quiet: bool = False,
) -> None:
    """Add a saved view above a model's list; its count is worked out with the list.

    A quiet one is only shown while it is open: it is what a figure of another page leads to.
    """
    _insert(registry.tabs[model], Tab(slug, label, narrow, order, is_quiet))


def add_action(
    model: type[Model],
    name: str,
    label: Text,
    func: Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None],
    *,
    permission: str,
    is_offered: Callable[[HttpRequest], bool] = lambda request: True,
    order: int = 50,
) -> None:
    """Add a bulk action to a model's list, for people who hold `permission` ("app.codename") where it can help."""
    _insert(registry.actions[model], Action(name, label, func, permission, order, is_offered))


def add_order(model: type[Model], *terms: Any) -> None:
    """Put these before the order of a model's list, as long as nobody sorts it by a column.

    The terms are what `order_by` takes, and may use what the columns annotate.
    """
    registry.orders[model].extend(terms)


def add_setup_step(
    title: Text,
    text: Text,
    *,
    is_done: Callable[[HttpRequest], bool],
    url: Callable[[HttpRequest], str | None],
    button: Text,
    order: int = 50,
) -> None:
    """Add a numbered step to the set-up page; `url` is None for a person who may not do it."""
    _insert(registry.setup_steps, SetupStep(title, text, is_done, url, button, order))


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


def setup_steps(request: HttpRequest) -> list[ShownStep]:
    """The steps of the set-up as they stand now."""
    steps: list[ShownStep] = []
    next_found = False
    for number, step in enumerate(registry.setup_steps, start=1):
        is_done = step.is_done(request)
        is_next = not is_done and not next_found
        next_found = next_found or is_next
        url = None if is_done else step.url(request)
        steps.append(ShownStep(number, step.title, step.text, is_done, is_next, url, step.button))
    return steps


class ChoicesView(AutocompleteJsonView):
    """The choices that match what was typed, by the names that the forms themselves show."""

    model_admin: Any

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        found: dict[str, str] = super().serialize_result(obj, to_field_name)
        return {**found, "text": self.model_admin.choice_text(obj)}


class SignInForm(AdminAuthenticationForm):
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _("This user name and password fit no account. Capital letters matter in both."),
    }


class EvenshelfAdminSite(AdminSite):
    site_header = site_title = "Evenshelf"
    empty_value_display = "—"
    login_form = SignInForm
    enable_nav_sidebar = False  # ours stands in its place

    def menu(self, request: HttpRequest) -> list[MenuGroup]:
        """The menu's groups with the items this person may open; an empty group is left out."""
        groups = []
        for slug, label in MENU_GROUPS.items():
            items = [
                ShownItem(item.label, reverse(item.url_name), item.count(request) if item.count else None)
                for item in registry.menu[slug]
                if item.permission is None or request.user.has_perm(item.permission)
            ]
            if items:
                groups.append(MenuGroup(slug, label, items))
        # A page belongs to the item with the longest address that it starts with; only the dashboard is "/".
        above = [item for group in groups for item in group.items if _is_below(request.path, item.url)]
        if above:
            max(above, key=lambda item: len(item.url)).is_current = True
        return groups

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            context["menu"] = self.menu(request)
            # A list bears the name by which the menu leads to it.
            shown = (item for group in context["menu"] for item in group.items)
            context["section"] = next((item.label for item in shown if item.is_current), "")
            context["header_panels"] = lambda: page_panels("header", request)["head"]  # a pop-up never asks
        return context

    def get_urls(self) -> list[URLPattern | URLResolver]:
        own: list[URLPattern | URLResolver] = [
            path("search/", self.admin_view(self.search), name="search"),
            path("set-up/", self.admin_view(self.setup), name="setup"),
        ]
        return own + super().get_urls()

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The dashboard: what the apps have to show for today, or the set-up while there is nothing yet."""
        steps = setup_steps(request)
        is_set_up = not steps or steps[0].is_done
        context = {
            "title": _("Today") if is_set_up else _("Set up Evenshelf"),
            "now": timezone.now(),
            "panels": page_panels("dashboard", request) if is_set_up else None,
            "steps": steps,
            **(extra_context or {}),
        }
        return super().index(request, context)

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The menu goes by job, not by app: an app has no page of its own."""
        return HttpResponseRedirect(reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """As Django does it, with an audit event in the same transaction."""
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            user = request.user
            if answer.status_code == HTTPStatus.FOUND and isinstance(user, User):
                changes = {"password": ["•••", "•••"]}
                audit(action="changed", obj=user, actor=user, now=timezone.now(), changes=changes)
        return answer

    def setup(self, request: HttpRequest) -> HttpResponse:
        """The numbered steps from an empty site to one that watches."""
        context = {**self.each_context(request), "title": _("Set up Evenshelf"), "steps": setup_steps(request)}
        return TemplateResponse(request, "admin/setup.html", context)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        answer: Any = ChoicesView.as_view(admin_site=self)(request)
        return answer  # type: ignore[no-any-return]

    def search(self, request: HttpRequest) -> HttpResponse:
        """What of all that this person may see holds the words of `q`, a few rows of each kind."""
        query = request.GET.get("q", "").strip()
        groups = []
        searched: list[Any] = [admin for admin in self._registry.values() if getattr(admin, "in_site_search", False)]
        for model_admin in searched if query else ():
            if not model_admin.has_view_permission(request):
                continue
            found, has_duplicates = model_admin.get_search_results(request, model_admin.get_queryset(request), query)
            rows = list((found.distinct() if has_duplicates else found)[: SEARCH_ROWS + 1])
            if rows:
                address = f"{self.name}:{model_admin.opts.app_label}_{model_admin.opts.model_name}"
                groups.append(
                    {
                        "label": model_admin.opts.verbose_name_plural,
                        "rows": [
                            (reverse(f"{address}_change", args=[row.pk]), row, model_admin.search_line(row))
                            for row in rows[:SEARCH_ROWS]
                        ],
                        "all_url": f"{reverse(f'{address}_changelist')}?{urlencode({'q': query})}",
                        "has_more": len(rows) > SEARCH_ROWS,
                    }
                )
        context = {**self.each_context(request), "title": _("Search"), "query": query, "groups": groups}
        return TemplateResponse(request, "admin/search.html", context)


def _is_below(path: str, url: str) -> bool:
    return path == url or (url != reverse("admin:index") and path.startswith(url))
