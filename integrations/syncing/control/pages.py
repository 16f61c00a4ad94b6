"""The pages themselves: each deed goes through switching, dry_runs or guards, which check it and write it down."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from catalog.admin.stock.panels import LOCATIONS
from catalog.models import BundleComponent, Channel, ChannelLocation, Listing, Sku, StockLevel, Warehouse
from config import formatting
from config.model_admin import person
from integrations import views
from integrations.connectors import CONNECTORS
from integrations.syncing import dirty, dry_runs, guards, switching
from integrations.syncing.admin.words import target_text
from integrations.syncing.control.forms import FilterForm, LimitForm, ReasonForm, ScopeForm
from integrations.syncing.models import ChannelSync, SavedFilter, SyncItem, SyncRun
from integrations.syncing.scope import WHOLE, Scope, UnknownScope, filtered
from integrations.tasks import request_push_lane
from monitoring.freshness import OF_LISTING

SEE = "integrations.view_syncrun"
DECIDE = "integrations.change_channelsync"
SAVE_FILTER = "integrations.add_savedfilter"
_ITEMS_PER_PAGE = 50
# Parts of a dry run, by what becomes of the listings; the first that has any opens.
PARTS: dict[str, Any] = {
    "zero": gettext_lazy("Go to 0"),
    "change": gettext_lazy("Change"),
    "same": gettext_lazy("No change"),
    "left": gettext_lazy("Left alone"),
}
_REASON_PAUSE = gettext_lazy("Shown to everybody who works with the channel, until it is resumed.")
_REASON_LEAVE = gettext_lazy("Why these keep the stock that the shop shows, though there is none here.")
_WORDS_OF_LIST = {"o", "p", "e", "all"}  # of the list's address, which narrow nothing


def sync_page(template: str, request: HttpRequest, *, title: str, channel: Channel, **context: Any) -> HttpResponse:
    status = context.pop("status", None)
    return TemplateResponse(
        request,
        f"integrations/stock_sync/{template}",
        {
            **admin.site.each_context(request),
            "title": title,
            "channel": channel,
            "back": views.channel_page(channel),
            "form_errors": getattr(context.get("form"), "errors", None),
            **context,
        },
        status=status,
    )


def _sync_of(channel: Channel) -> ChannelSync:
    """How the channel stands; an empty unsaved one when its sync never was on."""
    return ChannelSync.objects.filter(channel=channel).first() or ChannelSync(channel=channel)


# --- On, off, paused ------------------------------------------------------------------------------------------------


@views.staff_page(DECIDE)
def switch_on(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Say what will happen and what there is to count first; nothing is written to the shop by it."""
    if request.method == "POST":
        try:
            is_new = switching.switch_on(channel=channel, actor=person(request), now=timezone.now())
        except switching.CannotSync as error:
            messages.error(request, str(error))
        else:
            _tell(
                request,
                is_new,
                _("Stock sync of %(channel)s is on. Nothing is sent before you apply a dry run."),
                channel,
            )
        return redirect(views.channel_page(channel))
    own = Listing.objects.current().filter(channel=channel, ownership=Listing.Ownership.OWN)
    skus = Sku.objects.filter(pk__in=own.filter(sku__isnull=False).values("sku"))
    listings, mapped, fresh = own.count(), own.filter(sku__isnull=False).count(), _count_fresh(own)
    all_skus, counted = skus.count(), skus.filter(_is_counted()).count()
    return sync_page(
        "switch_on.html",
        request,
        title=_("Switch stock sync of %(channel)s on?") % {"channel": channel.name},
        channel=channel,
        refusal=switching.refusal(channel),
        listings=listings,
        mapped=mapped,
        unread=listings - fresh,
        skus=all_skus,
        counted=counted,
        locations=list(ChannelLocation.objects.filter(channel=channel).select_related("warehouse")),
        warehouses=formatting.joined(str(each) for each in Warehouse.objects.filter(is_active=True)),
        has_locations=CONNECTORS[channel.platform].has_locations,
        may_choose=request.user.has_perms(LOCATIONS),
        status_url=views.channel_page(channel),
    )


def _count_fresh(listings: Any) -> int:
    return int(listings.filter(OF_LISTING.fresh(timezone.now()), stock__isnull=False).count())


def _is_counted() -> Q:
    """SKUs of which we know what there is; of a bundle, of all its parts."""
    levels = StockLevel.objects.filter(is_counted=True)
    parts = BundleComponent.objects.filter(bundle=OuterRef("pk"))
    uncounted = parts.exclude(Exists(levels.filter(sku=OuterRef("component"))))
    return Q(Exists(levels.filter(sku=OuterRef("pk")))) | (Q(Exists(parts)) & ~Q(Exists(uncounted)))


@views.staff_page(DECIDE)
def switch_off(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    if request.method == "POST":
        was_on = switching.switch_off(channel=channel, actor=person(request), now=timezone.now())
        _tell(request, was_on, _("Stock sync of %(channel)s is off."), channel)
        return redirect(views.channel_page(channel))
    title = _("Switch stock sync of %(channel)s off?") % {"channel": channel.name}
    return sync_page("switch_off.html", request, title=title, channel=channel)


@views.staff_page(DECIDE)
def pause(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    form = ReasonForm(request.POST or None, help_text=_REASON_PAUSE)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        is_new = switching.pause(channel=channel, reason=reason, actor=person(request), now=timezone.now())
        _tell(request, is_new, _("Stock sync of %(channel)s is paused. Its orders are still booked."), channel)
        return redirect(views.channel_page(channel))
    return _ask(
        request,
        channel,
        form,
        title=_("Pause stock sync of %(channel)s") % {"channel": channel.name},
        line=_("Nothing is sent until it is resumed; its orders are still booked. Then what moved meanwhile is sent."),
        button=_("Pause"),
    )


@require_POST
@views.staff_page(DECIDE)
def resume(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    was_paused = switching.resume(channel=channel, actor=person(request), now=timezone.now())
    _tell(request, was_paused, _("Stock sync of %(channel)s is resumed."), channel)
    return redirect(views.channel_page(channel))


@views.staff_page(DECIDE)
def limit(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """How many listings may go to 0 without asking."""
    sync = _sync_of(channel)
    form = LimitForm(request.POST or None, instance=sync)
    if request.method == "POST" and form.is_valid():
        percent = form.cleaned_data["most_zeroed_percent"]
        is_new = switching.set_most_zeroed(channel=channel, percent=percent, actor=person(request), now=timezone.now())
        _tell(request, is_new, _("Saved the limit of %(channel)s."), channel)
        return redirect(views.channel_page(channel))
    return _ask(
        request,
        channel,
        form,
        title=_("When %(channel)s asks before stock goes to 0") % {"channel": channel.name},
        line=_("What would go to 0 above the limit is held back until somebody decides. Other figures are sent."),
        button=_("Save"),
    )


def _ask(request: HttpRequest, channel: Channel, form: Any, *, title: str, line: str, button: str) -> HttpResponse:
    """The page that asks something before a deed is done."""
    status = 400 if form.errors else None
    words = {"title": title, "line": line, "button": button}
    return sync_page("ask.html", request, channel=channel, form=form, status=status, **words)


def _tell(request: HttpRequest, is_done: bool, text: str, channel: Channel) -> None:
    if is_done:
        messages.success(request, text % {"channel": channel.name})
    else:
        messages.info(request, _("Nothing was changed."))


# --- Runs -----------------------------------------------------------------------------------------------------------


@require_POST
@views.staff_page(DECIDE)
def run_whole(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """A dry run of the whole channel (`kind` is "dry"), of what the guard holds ("held"), or a full run."""
    kind = request.POST.get("kind")
    return _begin(request, channel, Scope(is_held=True) if kind == "held" else WHOLE, is_dry=kind in {"dry", "held"})


@views.staff_page(DECIDE)
def run_part(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Choose a part of the channel for a run."""
    form = ScopeForm(request.POST or None, channel=channel, user=person(request))
    if request.method == "POST" and form.is_valid():
        try:
            return _begin(request, channel, form.scope(), is_dry="full" not in request.POST)
        except UnknownScope as error:
            form.add_error("filter", str(error))
    return sync_page(
        "scope.html",
        request,
        title=_("Run over a part of %(channel)s") % {"channel": channel.name},
        channel=channel,
        form=form,
        may_write=_may_write(_sync_of(channel)),
        status=400 if form.errors else None,
    )


def _begin(request: HttpRequest, channel: Channel, scope: Scope, *, is_dry: bool) -> HttpResponseBase:
    now, user = timezone.now(), person(request)
    if is_dry:
        return redirect(dry_runs.make_dry_run(channel=channel, scope=scope, asked_by=user, now=now))
    if not _may_write(_sync_of(channel)):
        messages.error(request, _("Stock sync of %(channel)s sends nothing now.") % {"channel": channel.name})
        return redirect(views.channel_page(channel))
    with transaction.atomic():
        run = dirty.begin_full(channel, scope=scope, asked_by=user, now=now)
        transaction.on_commit(request_push_lane)
    text = ngettext(
        "%(count)s listing is compared and read back.", "%(count)s listings are compared and read back.", run.total
    )
    messages.success(request, text % {"count": formatting.count(run.total)})
    return redirect(views.channel_page(channel))


def _may_write(sync: ChannelSync) -> bool:
    return sync.is_on and sync.is_confirmed and not sync.is_paused


# --- A dry run ------------------------------------------------------------------------------------------------------


def _run_page(*permissions: str) -> Callable[[views.View], views.View]:
    """A page of a dry run of a channel that the person sees; hands `run_id` over as the run itself."""

    def decorate(view: views.View) -> views.View:
        @views.staff_page(*permissions)
        @wraps(view)
        def inner(request: HttpRequest, run_id: int) -> HttpResponseBase:
            runs = SyncRun.objects.filter(
                kind=SyncRun.Kind.DRY, channel__in=Channel.objects.visible_to(person(request))
            )
            return view(
                request, run=get_object_or_404(runs.select_related("channel", "asked_by", "applied_by"), pk=run_id)
            )

        return inner

    return decorate


@require_safe
@_run_page(SEE)
def dry_run(request: HttpRequest, run: SyncRun) -> HttpResponseBase:
    """What it would change, by what becomes of the listings, with the reason of each figure."""
    scope = Scope.from_json(run.scope)
    sync = _sync_of(run.channel)
    figures = dry_runs.figures_of(run)
    zeroing = dry_runs.zeroing_of(run, figures, sync)
    counts = {"zero": figures.zero, "change": figures.change, "same": figures.same, "left": figures.left}
    part = request.GET.get("part", "")
    if part not in PARTS:
        part = next((name for name in PARTS if counts[name]), "change")
    page = Paginator(_items(run, part), _ITEMS_PER_PAGE).get_page(request.GET.get("p"))
    for item in page.object_list:
        item.sentence = target_text(item)
    done = run.items.values("listing").distinct().count() if run.ended_at is None else run.total
    is_decidable = run.ended_at is not None and run.applied_at is None
    return sync_page(
        "dry_run.html",
        request,
        title=_("Dry run"),
        channel=run.channel,
        run=run,
        scope=scope,
        sync=sync,
        done=done,
        figures=figures,
        zeroing=zeroing,
        parts=[(name, label, counts[name]) for name, label in PARTS.items()],
        part=part,
        page=page,
        may_decide=is_decidable and request.user.has_perm(DECIDE),
        obstacle=_obstacle(run, sync, scope) if is_decidable else "",
        may_fetch=request.user.has_perms(views.FETCH),
        is_newest=not run.channel.sync_runs.filter(kind=SyncRun.Kind.DRY, pk__gt=run.pk).exists(),
    )


def _items(run: SyncRun, part: str) -> Any:
    """Those of the part: first what nobody knows the present figure of, then the largest figures."""
    unread_first = Case(When(before__isnull=True, then=Value(0)), default=Value(1), output_field=IntegerField())
    items = SyncItem.objects.filter(run=run, outcome=part).select_related("listing__sku")
    return items.order_by(unread_first, "-before", "pk")


def _obstacle(run: SyncRun, sync: ChannelSync, scope: Scope) -> str:
    """Why it cannot be applied as things stand; "" when only figures that moved could stop it."""
    try:
        dry_runs.check(run, sync, scope)
    except dry_runs.NotApplied as error:
        return str(error)
    return ""


@require_POST
@_run_page(DECIDE)
def apply(request: HttpRequest, run: SyncRun) -> HttpResponseBase:
    agreed = request.POST.get("zeros", "")
    zeros_agreed = agreed.isdecimal() and int(agreed) == dry_runs.figures_of(run).zero
    try:
        done = dry_runs.apply_dry_run(run, actor=person(request), now=timezone.now(), zeros_agreed=zeros_agreed)
    except dry_runs.NotApplied as error:
        messages.error(request, str(error))
        return redirect(run)
    text = ngettext("Applied: %(count)s listing is sent.", "Applied: %(count)s listings are sent.", done.sent)
    messages.success(request, text % {"count": formatting.count(done.sent)})
    if done.moved:
        text = ngettext(
            "%(count)s figure moved since the dry run. It is worked out anew and sent as it is by now.",
            "%(count)s figures moved since the dry run. They are worked out anew and sent as they are by now.",
            done.moved,
        )
        messages.info(request, text % {"count": formatting.count(done.moved)})
    return redirect(run)


@require_POST
@_run_page(DECIDE)
def again(request: HttpRequest, run: SyncRun) -> HttpResponseBase:
    """The same dry run anew."""
    try:
        return _begin(request, run.channel, Scope.from_json(run.scope), is_dry=True)
    except UnknownScope as error:
        messages.error(request, str(error))
        return redirect(run)


@views.staff_page(DECIDE)
def leave(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Leave what the guard holds as the shop shows it."""
    count = guards.held_rows(channel).count()
    form = ReasonForm(request.POST or None, help_text=_REASON_LEAVE)
    if request.method == "POST" and form.is_valid():
        left = guards.leave(
            channel=channel, reason=form.cleaned_data["reason"], actor=person(request), now=timezone.now()
        )
        text = ngettext(
            "%(count)s listing stays as the shop shows it until its target changes.",
            "%(count)s listings stay as the shop shows them until their targets change.",
            left,
        )
        messages.success(request, text % {"count": formatting.count(left)})
        return redirect(views.channel_page(channel))
    title = ngettext("Leave %(count)s listing as it is?", "Leave %(count)s listings as they are?", count)
    return _ask(
        request,
        channel,
        form,
        title=title % {"count": formatting.count(count)},
        line=_("The shop goes on selling them. They are looked at again when their targets change."),
        button=_("Leave as they are"),
    )


# --- Saved filters --------------------------------------------------------------------------------------------------


@views.staff_page("catalog.view_listing", SAVE_FILTER)
def save_filter(request: HttpRequest) -> HttpResponseBase:
    """Keep the filters of the list of listings, which stand in the address of this page, under a name."""
    query = QueryDict(mutable=True)
    for name, values in request.GET.lists():
        if name not in _WORDS_OF_LIST and any(values):
            query.setlist(name, [value for value in values if value])
    saved = SavedFilter(owner=person(request), query=query.urlencode(), created_at=timezone.now())
    try:
        saved.clean_fields(exclude=["name"])
        found = filtered(saved).count()
    except (UnknownScope, ValidationError):
        messages.error(request, _("There is nothing to save: narrow the list by its filters first."))
        return redirect("admin:catalog_listing_changelist")
    back = f"{reverse('admin:catalog_listing_changelist')}?{saved.query}"
    form = FilterForm(request.POST or None, instance=saved, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                form.save()
        except IntegrityError:
            form.add_error("name", _("You have a filter of this name. Choose another one."))
        else:
            messages.success(request, _("Saved “%(name)s”. Dry runs and full runs can be about it.") % {"name": saved})
            return redirect(back)
    return TemplateResponse(
        request,
        "integrations/stock_sync/save_filter.html",
        {
            **admin.site.each_context(request),
            "title": _("Save these filters"),
            "form": form,
            "form_errors": form.errors,
            "back": back,
            "found": found,
            "saved": SavedFilter.objects.filter(owner=person(request)),
        },
        status=400 if form.errors else None,
    )


@require_POST
@views.staff_page(SAVE_FILTER)
def delete_filter(request: HttpRequest, filter_id: int) -> HttpResponseBase:
    saved = SavedFilter.objects.filter(owner=person(request), pk=filter_id).first()
    if saved is None:
        raise Http404
    saved.delete()
    messages.success(request, _("Deleted the filter “%(name)s”.") % {"name": saved})
    return redirect("admin:catalog_listing_changelist")
