"""Reading a shop while the person waits: its listings, its sales, fetch now, pause and interval."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from catalog.models import Channel, Listing, Proposal, ShopRead
from config import formatting
from integrations import sales, shop_reads, watching
from integrations.fetch_now import fetch_now
from integrations.forms import IntervalForm
from integrations.tasks import request_shop_lane
from integrations.views.pages import DISCOVER, FETCH, channel_page, listing_page, page, refusal_text, staff, staff_page
from monitoring.admin.alert_deeds import next_page
from monitoring.models import ListingWatch

DISCOVER_SECONDS = 5  # of reading a shop while the person waits


@require_POST
@staff_page(*DISCOVER)
def discover(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Ask the shop what it has, and go on in the background where that takes long."""
    address = f"{reverse('admin:catalog_proposal_changelist')}?channel__id__exact={channel.pk}"
    read = _read_shop(request, channel, ShopRead.Kind.LISTINGS)
    if read is None:
        return redirect(channel_page(channel))
    waiting = Proposal.objects.open().filter(channel=channel).count()
    count = ngettext("%(count)s listing found", "%(count)s listings found", read.count)
    text = _("%(found)s, %(open)s of them to decide about.") % {
        "found": count % {"count": formatting.count(read.count)},
        "open": formatting.count(waiting),
    }
    messages.info(
        request, text if read.ended_at else formatting.sentences(text, _("The rest is being read in the background."))
    )
    return redirect(address)


@require_POST
@staff_page(*DISCOVER)
def read_sales(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Count what the channel's unmapped listings and proposals sold; what takes long goes on in the background."""
    unmapped = f"{reverse('admin:catalog_unmappedlisting_changelist')}?channel__id__exact={channel.pk}"
    address = next_page(request) or unmapped
    read = _read_shop(request, channel, ShopRead.Kind.SALES) if sales.can_read_sales(channel) else None
    if read is not None:
        text = ngettext("%(count)s order read.", "%(count)s orders read.", read.count)
        told = text % {"count": formatting.count(read.count)}
        messages.info(
            request,
            told if read.ended_at else formatting.sentences(told, _("The rest is being read in the background.")),
        )
    return redirect(address)


def _read_shop(request: HttpRequest, channel: Channel, kind: ShopRead.Kind) -> ShopRead | None:
    """A first slice of the reading; None when it brought nothing, which the person has then been told."""
    begun = shop_reads.begin(channel=channel, kind=kind, now=timezone.now())
    sliced = shop_reads.take_slice(
        read=begun, now_fn=timezone.now, seconds=DISCOVER_SECONDS, is_asked=True, is_cut_short=True
    )
    if sliced.error is not None:
        messages.error(request, refusal_text(channel, sliced.error))
        if not sliced.read.count:
            return None
    if sliced.read.goes_on(timezone.now()):
        request_shop_lane()
    return sliced.read


def tell_fetched(request: HttpRequest, listing_ids: list[int]) -> None:
    """Fetch the listings and leave what came of it as messages."""
    result = fetch_now(listing_ids=listing_ids, now=timezone.now())
    if result.level == messages.ERROR and len(result.problems) == 1:
        messages.error(request, formatting.sentences(result.done, result.problems[0]))
        return
    messages.add_message(request, result.level, result.done)
    for problem in result.problems:
        messages.add_message(request, max(result.level, messages.WARNING), problem)


@require_POST
@staff_page(*FETCH)
def fetch_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_fetched(request, [listing.pk])
    return redirect(listing_page(listing))


@require_POST
@staff_page(*FETCH)
def fetch_channel(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    tell_fetched(request, list(channel.listings.current().order_by("pk").values_list("pk", flat=True)))
    return redirect(channel_page(channel))


@require_POST
@staff_page(*FETCH)
def pause_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_paused(request, [listing.pk], is_paused=True)
    return redirect(listing_page(listing))


@require_POST
@staff_page(*FETCH)
def resume_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_paused(request, [listing.pk], is_paused=False)
    return redirect(listing_page(listing))


def tell_paused(request: HttpRequest, listing_ids: list[int], *, is_paused: bool) -> None:
    """Pause or resume the listings and leave the count as a message."""
    count = watching.set_paused(
        listings=Listing.objects.filter(pk__in=listing_ids),
        is_paused=is_paused,
        actor=staff(request),
        now=timezone.now(),
    )
    if is_paused:
        text = ngettext("Paused %(count)d listing.", "Paused %(count)d listings.", count)
    else:
        text = ngettext("Resumed %(count)d listing.", "Resumed %(count)d listings.", count)
    messages.success(request, text % {"count": count})


@staff_page(*FETCH)
def edit_interval(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    """How often one listing is read."""
    watch = get_object_or_404(ListingWatch.objects.select_related("channel"), listing=listing)
    form = IntervalForm(request.POST if request.method == "POST" else None, instance=watch, label_suffix="")
    if request.method == "POST" and form.is_valid():
        changed = watching.set_interval(
            listing=listing,
            seconds=form.cleaned_data["interval_seconds"],
            actor=staff(request),
            now=timezone.now(),
        )
        if changed:
            watch.refresh_from_db()
            saved = _("Saved: read every %(interval)s.") % {"interval": formatting.duration(watch.interval)}
            messages.success(request, saved)
        else:
            messages.success(request, _("Nothing was changed."))
        return redirect(listing_page(listing))
    return page(
        request,
        "interval.html",
        title=_("How often to read"),
        listing=listing,
        form=form,
        back=listing_page(listing),
        status=400 if form.is_bound else None,
    )
