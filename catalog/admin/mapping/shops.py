"""The shops of the person: the one that a list is narrowed to, how their readings stand, the SKUs in them."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from catalog.models import Channel, ShopRead, Sku
from config.admin_site import (
    page_badge,
    page_buttons,
)
from config.model_admin import person

CHANNEL_VAR = "channel__id__exact"
_READS_SHOWN = 4  # of each kind, before "more"


def chosen_channel(request: HttpRequest) -> str:
    """The key of the channel that a list is narrowed to; "" when it is not."""
    chosen = request.GET.get(CHANNEL_VAR, "")
    return chosen if chosen.isdecimal() and len(chosen) < 19 else ""


def tell_codes(proposals: list[Any], request: HttpRequest) -> None:
    """Put the codes of the SKUs that the person may see on the rows: one query."""
    ids = {proposal.sku_id for proposal in proposals if proposal.sku_id}
    ids |= {sku_id for each in proposals for stored in each.conflicts for sku_id in stored["sku_ids"]}
    codes = dict(Sku.objects.visible_to(person(request)).filter(pk__in=ids).values_list("pk", "code")) if ids else {}
    for proposal in proposals:
        proposal.codes = codes


def shop_reads(request: HttpRequest, *kinds: ShopRead.Kind) -> dict[str, Any]:
    """How the readings of the person's shops stand: of the channel that the list is narrowed to, or the latest."""
    channels = Channel.objects.visible_to(person(request)).select_related("credential")
    if chosen := chosen_channel(request):
        channels = channels.filter(pk=chosen)
    stored = {(each.channel_id, each.kind): each for each in ShopRead.objects.filter(channel__in=channels)}
    first, more = [], []
    for kind in kinds:
        reads = [stored.get((channel.pk, kind)) or ShopRead(kind=kind, channel=channel) for channel in channels]
        for read, channel in zip(reads, channels, strict=True):
            read.channel = channel
        reads.sort(key=lambda read: read.slice_at.timestamp() if read.slice_at else 0, reverse=True)
        rows = [
            (read, page_badge("shop_read", request, read), page_buttons(f"{kind}_read", request, read))
            for read in reads
        ]
        # A channel that somebody narrowed the list to is told about, even when nothing can be read.
        worth_showing = [row for row in rows if row[0].pk or row[2] or chosen]
        first += worth_showing[:_READS_SHOWN]
        more += worth_showing[_READS_SHOWN:]
    is_under_way = any(read.pk and read.ended_at is None for read, _badge, _buttons in first + more)
    return {
        "reads": first,
        "more_reads": more,
        # What goes on or stopped is to be seen; that all is well need not be.
        "reads_are_open": is_under_way or bool(chosen),
        "now": timezone.now(),
    }
