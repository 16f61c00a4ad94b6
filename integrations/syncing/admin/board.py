"""What is on its way: every listing that does not show its target, why, and what is done about it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, F, Min, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import BOOK
from catalog.models import Channel
from catalog.stock.explaining import explain
from catalog.stock.targets import stock_targets
from config import formatting
from config.admin_site import Badge, add_action, add_column, add_menu_item, add_order, add_tab
from config.change_list import TAB_VAR, FrameChangeList
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from integrations.problems import explain as explain_problem
from integrations.syncing.admin.deeds import ASKS_ABOVE, DEEDS, DISMISS, RETRY, Asked, do
from integrations.syncing.admin.words import STATE_BADGES, problem_text, told
from integrations.syncing.models import ListingSync
from integrations.syncing.rows import GUARD
from monitoring.causes import cause_label

State = ListingSync.State
VIEW = "integrations.view_listingsync"
CHANNEL_VAR, CAUSE_VAR = "channel", "cause"

_BEHIND = (State.NEW, State.WAITING, State.SENT, State.REFUSED, State.FAILED)
# The saved views above the list, each with the states that it holds.
TABS: dict[str, tuple[Any, tuple[State, ...]]] = {
    "behind": (_("Not in step"), _BEHIND),
    "waiting": (_("Waiting"), (State.NEW, State.WAITING)),
    "sent": (_("Awaiting read-back"), (State.SENT,)),
    "refused": (_("Refused"), (State.REFUSED,)),
    "failed": (_("Failed"), (State.FAILED,)),
    "dismissed": (_("Dismissed"), (State.DISMISSED,)),
    "stopped": (_("Left alone"), (State.STOPPED,)),
    "in-sync": (_("In step"), (State.IN_SYNC,)),
}
# The states that somebody may have to do something about, the worst first.
_ENDED = (State.REFUSED, State.FAILED)
_TROUBLES = (State.WAITING, *_ENDED)  # of what waits only what waits for a decision
_RANK = Case(
    *(When(state=state, then=Value(rank)) for rank, state in enumerate((*_ENDED, State.WAITING, State.NEW))),
    default=Value(9),
)
_GROUPS_SHOWN = 3  # before "and … more"


class Group(NamedTuple):
    """What one channel has in one state for one cause."""

    channel_id: int
    channel_name: str
    platform: str
    currency: str
    state: str
    cause: str
    number: int
    since: datetime | None

    @property
    def channel(self) -> Channel:
        """Enough of it to name it; its connection is looked up only where a sentence names a setting."""
        return Channel(pk=self.channel_id, name=self.channel_name, platform=self.platform, currency=self.currency)

    @property
    def advice(self) -> str:
        return explain_problem(cause=self.cause, channel=self.channel, at=None).advice

    @property
    def what(self) -> str:
        if not self.cause:
            return gettext("%(channel)s did not say why.") % {"channel": self.channel_name}
        text = problem_text(self.cause, self.channel)
        return text if self.channel_name in text else f"{self.channel_name}: {text}"

    @property
    def is_held(self) -> bool:
        """Whether the guard of zeros holds it, and somebody decides on the page of its channel."""
        return self.state == State.WAITING and self.cause == GUARD

    @property
    def badge(self) -> Badge:
        return Badge("critical", STATE_BADGES[self.state].text) if self.is_held else STATE_BADGES[self.state]

    @property
    def query(self) -> str:
        """What of an address of a deed says which group."""
        named: dict[str, Any] = {"channel": self.channel_id, "state": self.state, "cause": self.cause}
        return urlencode(named)

    @property
    def list_query(self) -> str:
        """The same of the list's address."""
        tab = next(slug for slug, (_label, states) in reversed(TABS.items()) if self.state in states)
        narrowed: dict[str, Any] = {TAB_VAR: tab, CHANNEL_VAR: self.channel_id}
        return urlencode(narrowed | ({CAUSE_VAR: self.cause} if self.cause else {}))

    @property
    def retry_text(self) -> str:
        if self.number == 1:
            return gettext("Retry")
        asks = gettext("Retry all %(count)s…") if self.number > ASKS_ABOVE else gettext("Retry all %(count)s")
        return asks % {"count": formatting.count(self.number)}

    @property
    def dismiss_text(self) -> str:
        if self.number == 1:
            return gettext("Dismiss…")
        return gettext("Dismiss all %(count)s…") % {"count": formatting.count(self.number)}


def groups_of(request: HttpRequest) -> list[Group]:
    """All rows that the person sees, by channel, state and cause: one query for a request, whoever asks."""
    found: list[Group] | None = getattr(request, "evenshelf_sync_groups", None)
    if found is None:
        rows = ListingSync.objects.visible_to(person(request)).order_by()
        names = ("channel", "channel__name", "channel__platform", "channel__currency", "state", "cause")
        counted = rows.values_list(*names).annotate(number=Count("pk"), since=Min("changed_at"))
        found = [Group(*row) for row in counted.order_by(*names)]
        request.evenshelf_sync_groups = found  # type: ignore[attr-defined]
    return found


class ChannelFilter(SimpleListFilter):
    """The channels that have any listings to sync."""

    title = _("channel")
    parameter_name = CHANNEL_VAR

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        names = {str(group.channel_id): group.channel_name for group in groups_of(request)}
        return sorted(names.items(), key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(channel=key_of(self.value()))


class CauseFilter(SimpleListFilter):
    title = _("cause")
    parameter_name = CAUSE_VAR

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        causes = {group.cause for group in groups_of(request) if group.cause}
        return sorted(((cause, cause_label(cause)) for cause in causes), key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(cause=self.value()) if self.value() else queryset


def key_of(text: str | None) -> int:
    """The key that an address names; 0, which no row has, for what cannot be one."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else 0


class BoardChangeList(FrameChangeList):
    """Gives each row its target as it is now, and the sentence that explains it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        set_targets(self.result_list)
        troubles = [] if self.is_popup else self._troubles(request)
        self.groups, self.more_groups = troubles[:_GROUPS_SHOWN], troubles[_GROUPS_SHOWN:]

    def _tab_counts(self, request: HttpRequest, tabs: Any) -> dict[str, int]:
        numbers = Counter[str]()
        for group in groups_of(request):
            numbers[group.state] += group.number
        return {tab.slug: sum(numbers[state] for state in TABS[tab.slug][1]) for tab in tabs}

    def _troubles(self, request: HttpRequest) -> list[Group]:
        """What of the open view somebody has to decide on, may send again or dismiss, by channel and cause, the worst
        first."""
        states = _BEHIND if self.tab is None else TABS[self.tab.slug][1]
        chosen, cause = request.GET.get(CHANNEL_VAR), request.GET.get(CAUSE_VAR)
        found = [
            group
            for group in groups_of(request)
            if group.state in states
            and (group.is_held or group.state in _ENDED)
            and (not chosen or str(group.channel_id) == chosen)
            and (not cause or group.cause == cause)
        ]
        return sorted(found, key=lambda group: (_TROUBLES.index(State(group.state)), -group.number))


def set_targets(rows: list[Any]) -> None:
    """Put on the rows what they are to show by now and how that came about, in constant queries."""
    ids = sorted({row.listing_id for row in rows})
    targets = (
        {(each.listing_id, each.location_id): each.target for each in stock_targets(listing_ids=ids)} if ids else {}
    )
    for row in rows:
        row.target = targets.get((row.listing_id, row.location_id))


@admin.register(ListingSync)
class ListingSyncAdmin(ReadOnly, FrameModelAdmin):
    page = "listing_sync"
    list_display = ()
    list_select_related = ["listing", "channel__credential", "channel__health", "channel__sync"]
    list_filter = [ChannelFilter, CauseFilter]
    search_fields = [
        "listing__title",
        "listing__platform_item_id",
        "listing__platform_sku_id",
        "listing__sku__code",
        "listing__sku__product__name",
    ]
    search_help_text = _("Listing, SKU or platform id")
    list_line = _("Listings that do not show their target, what was refused and why")
    change_list_template = "admin/integrations/sync/board.html"
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ListingSync]:
        rows: QuerySet[ListingSync] = super().get_queryset(request).select_related(*self.list_select_related)
        return rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[FrameChangeList]:
        return BoardChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """As Django does it, and by both ids as pages show them: 6000/6001."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        item_id, slash, sku_id = search_term.strip().partition("/")
        if slash:
            by_ids = {"listing__platform_item_id": item_id.strip(), "listing__platform_sku_id": sku_id.strip()}
            found |= queryset.filter(**by_ids)
        return found, has_duplicates

    def title_of(self, obj: ListingSync) -> str:
        return str(obj.listing)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Those that apply to rows of the view that is open."""
        found = super().get_actions(request)
        wanted = {"refused": DEEDS, "failed": DEEDS, "behind": DEEDS, "waiting": (RETRY,), "dismissed": (RETRY,)}
        applies = wanted.get(request.GET.get(TAB_VAR, "behind"), ())
        return {name: action for name, action in found.items() if name in applies}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title, text = _EMPTY.get(request.GET.get(TAB_VAR, "behind"), (_("Nothing here"), ""))
        if not groups_of(request):
            title = _("No channel is synced yet")
            text = _("Switch the sync of its stock on, on the page of a channel.")
        context = {"empty_title": title, "empty_text": text, "may_act": request.user.has_perm(BOOK)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        own = []
        for verb in DEEDS:
            for place, view in (("<int:pk>", self.one_view), ("group", self.group_view)):
                name = f"integrations_listingsync_{'group_' if place == 'group' else ''}{verb}"
                own.append(path(f"{place}/{verb}/", self.admin_site.admin_view(view), {"verb": verb}, name=name))
        return own + super().get_urls()

    def one_view(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        """Retry or dismiss one row."""
        row = _allowed(request, verb, self.get_queryset(request)).filter(pk=pk).first()
        if row is None:
            raise Http404
        asked = Asked(self.address("change", row), self.title_of(row))
        return do(self, request, verb, ListingSync.objects.filter(pk=row.pk), asked)

    def group_view(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Retry or dismiss what a channel has in one state for one cause."""
        told_of = request.GET
        rows = _allowed(request, verb, self.get_queryset(request)).filter(
            channel=key_of(told_of.get("channel")), state=told_of.get("state", ""), cause=told_of.get("cause", "")
        )
        asked = Asked(reverse("admin:integrations_listingsync_changelist"), gettext("On its way"))
        return do(self, request, verb, ListingSync.objects.filter(pk__in=rows.order_by().values("pk")), asked)


def _allowed(request: HttpRequest, verb: str, rows: QuerySet[ListingSync]) -> QuerySet[ListingSync]:
    """The rows, for people who may change stock; raises PermissionDenied for others, and for a deed by a mere look."""
    if not request.user.has_perms([VIEW, BOOK]) or (verb != DISMISS and request.method != "POST"):
        raise PermissionDenied
    return rows


_EMPTY: dict[str, tuple[Any, Any]] = {
    "behind": (_("Everything shows its target"), _("A change of stock is sent at once, and is shown here on its way.")),
    "refused": (_("Nothing was refused"), ""),
    "failed": (_("Nothing failed"), ""),
    "dismissed": (_("Nothing was dismissed"), ""),
}


# --- Many at once ----------------------------------------------------------------------------------------------------


def _bulk(verb: str) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        chosen = ListingSync.objects.filter(pk__in=rows.order_by().values("pk"))
        asked = Asked(request.get_full_path(), gettext("On its way"), is_bulk=True)
        return do(model_admin, request, verb, chosen, asked)

    return act


add_action(ListingSync, RETRY, _("Retry"), _bulk(RETRY), permission=BOOK, order=10)
add_action(ListingSync, DISMISS, _("Dismiss…"), _bulk(DISMISS), permission=BOOK, order=20)


# --- Saved views and columns -----------------------------------------------------------------------------------------


def _of_states(states: tuple[State, ...]) -> Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]:
    return lambda rows, request: rows.filter(state__in=states)


for _order, (_slug, (_label, _states)) in enumerate(TABS.items()):
    add_tab(ListingSync, _slug, _label, _of_states(_states), order=_order)
add_order(ListingSync, _RANK, F("changed_at").desc(nulls_last=True), "-pk")


def listing_cell(row: Any) -> SafeString:
    """The listing; below it platform, shop, id, and the location where the shop has several."""
    place = f" · {row.location_id}" if row.location_id else ""
    return format_html(
        '<strong title="{}">{}</strong><small>{} {} · {}{}</small>',
        row.listing,
        row.listing,
        parts.mark(row.channel),
        row.channel,
        row.listing.platform_id,
        place,
    )


def seen_cell(row: Any) -> SafeString | str:
    if row.confirmed is None:
        return parts.unknown(_("not read yet") if row.confirmed_at is None else _("cannot tell"))
    return format_html("{}<small>{}</small>", formatting.count(row.confirmed), parts.time_ago(row.confirmed_at))


def sent_cell(row: Any) -> SafeString | str:
    if row.pushed is None:
        return parts.none(_("never sent"))
    return format_html("{}<small>{}</small>", formatting.count(row.pushed), parts.time_ago(row.pushed_at))


def target_cell(row: Any) -> SafeString | str:
    """What it is to show by now, and how that came about."""
    target = row.target
    if target is None:
        return parts.unknown(_("not one of ours any more"))
    shown = formatting.count(target.quantity) if target.quantity is not None else parts.unknown()
    return format_html('{}<span class="told">{}</span>', shown, explain(target))


def state_cell(row: Any) -> SafeString:
    """The state; below it why, and what to do next."""
    shown = STATE_BADGES[row.state]
    text = told(row, timezone.now(), is_short=True)
    return format_html(
        '{}<span class="told">{}</span>' if text else "{}", parts.badge(shown.severity, shown.text), text
    )


def since_cell(row: Any) -> SafeString | str:
    return parts.time_ago(row.changed_at) if row.changed_at else parts.none(_("in step"))


add_column(ListingSync, "name", _("listing"), listing_cell, order=10)
add_column(ListingSync, "seen", _("seen there"), seen_cell, order=20, classes="num")
add_column(ListingSync, "sent", _("sent"), sent_cell, order=30, classes="num")
add_column(ListingSync, "target", pgettext_lazy("stock to be shown", "target"), target_cell, order=40)
add_column(ListingSync, "status", _("state"), state_cell, order=50)
add_column(ListingSync, "since", _("since"), since_cell, order=60)
add_menu_item("sync", _("On its way"), "admin:integrations_listingsync_changelist", permission=VIEW, order=5)
