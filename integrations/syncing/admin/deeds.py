"""What people do about listings that are behind: send again, or dismiss with a reason; one, some or a whole group.

A group is what one channel has in one state for one cause.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from config import formatting
from config.model_admin import person
from integrations.syncing import dirty
from integrations.syncing.models import ListingSync
from integrations.syncing.rows import GUARD

State = ListingSync.State
RETRY, DISMISS = "retry", "dismiss"
DEEDS = (RETRY, DISMISS)

ASKS_ABOVE = 50  # a deed to more listings than this is asked about first
_NAMED = 5  # of the listings that a deed is asked about


class DismissForm(forms.Form):
    """Why it is all right that a listing shows something else than its target."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=dirty.LONGEST_REASON,
        error_messages={"required": _("Say why it is all right.")},
        help_text=_("Kept with the listing, with your name, until its target changes."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


@dataclass(frozen=True)
class Asked:
    """Where a deed was asked for: the page to go back to, and what to call that."""

    back: str
    back_label: str
    is_bulk: bool = False  # from the ticked rows of the list


def do(
    model_admin: ModelAdmin, request: HttpRequest, verb: str, rows: QuerySet[ListingSync], asked: Asked
) -> HttpResponse:
    """Do it, or ask first: for the reason of a dismissal, and before very many are sent again."""
    is_confirmed = "confirmed" in request.POST
    form = DismissForm(request.POST if is_confirmed else None) if verb == DISMISS else None
    now = timezone.now()
    chosen = dirty.dismissible(rows) if verb == DISMISS else dirty.retriable(rows, now=now)
    number = chosen.count()
    if not number:
        _tell(model_admin, request, verb, 0, _left_alone(verb, rows, now))
        return HttpResponseRedirect(asked.back)
    if form is not None and not form.is_valid():
        return _question(model_admin, request, verb, chosen, number, form, asked)
    if form is None and not is_confirmed and number > ASKS_ABOVE:
        return _question(model_admin, request, verb, chosen, number, None, asked)
    left = _left_alone(verb, rows, now)
    if form is not None:
        count = dirty.dismiss(rows, reason=form.cleaned_data["reason"], actor=person(request), now=now)
    else:
        count = dirty.retry(rows, actor=person(request), now=now)
    _tell(model_admin, request, verb, count, left)
    return HttpResponseRedirect(asked.back)


def _left_alone(verb: str, rows: QuerySet[ListingSync], now: datetime) -> dict[str, int]:
    """To how many of the rows the deed does not apply, by the reason; one query, before it is done."""
    of_state = {
        "in-sync": Q(state=State.IN_SYNC),
        "stopped": Q(state=State.STOPPED),
        "sent": Q(state=State.SENT),
    }
    unsent = Q(state__in=[State.NEW, State.WAITING])
    if verb == DISMISS:
        reasons = {**of_state, "unsent": unsent, "dismissed": Q(state=State.DISMISSED)}
        counted: QuerySet[Any] = rows
    else:
        ended = Q(state__in=[State.REFUSED, State.FAILED, State.DISMISSED])
        is_asking = Q(state=State.WAITING, cause=GUARD)
        is_under_way = unsent & ~is_asking & (Q(due_at__lte=now) | Q(lease_until__gt=now))
        is_silent = (ended | (unsent & ~is_asking & ~is_under_way)) & Q(is_writable=False)
        reasons = {**of_state, "under-way": is_under_way, "guard": is_asking, "silent": is_silent}
        counted = rows.annotate(is_writable=Exists(dirty.writable().filter(channel=OuterRef("channel"))))
    return counted.order_by().aggregate(**{name: Count("pk", filter=which) for name, which in reasons.items()})


def _tell(model_admin: ModelAdmin, request: HttpRequest, verb: str, count: int, left: dict[str, int]) -> None:
    """Say how many listings it was done to, and why not to the others."""
    if verb == DISMISS:
        text = ngettext("Dismissed %(count)s listing.", "Dismissed %(count)s listings.", count)
        nothing = gettext("No listing was dismissed.")
    else:
        text = ngettext("%(count)s listing is sent again.", "%(count)s listings are sent again.", count)
        nothing = gettext("No listing was sent again.")
    done = text % {"count": formatting.count(count)} if count else nothing
    reasons = formatting.joined(_reason(reason, number) for reason, number in left.items() if number)
    if reasons:
        done = gettext("%(done)s Left alone: %(reasons)s.") % {"done": done, "reasons": reasons}
    model_admin.message_user(request, done, messages.SUCCESS if count else messages.WARNING)


def _reason(reason: str, number: int) -> str:
    text = {
        "in-sync": ngettext("%(count)s in step already", "%(count)s in step already", number),
        "stopped": ngettext("%(count)s that is not to be sent", "%(count)s that are not to be sent", number),
        "sent": ngettext("%(count)s about to be read back", "%(count)s about to be read back", number),
        "unsent": ngettext("%(count)s that was not refused", "%(count)s that were not refused", number),
        "dismissed": ngettext("%(count)s dismissed already", "%(count)s dismissed already", number),
        "under-way": ngettext("%(count)s being sent already", "%(count)s being sent already", number),
        "guard": ngettext(
            "%(count)s that waits for a decision on the page of its channel",
            "%(count)s that wait for a decision on the page of their channel",
            number,
        ),
        "silent": ngettext(
            "%(count)s of a channel that is not written to now (off, paused, or its first dry run not applied)",
            "%(count)s of a channel that is not written to now (off, paused, or its first dry run not applied)",
            number,
        ),
    }[reason]
    return text % {"count": formatting.count(number)}


def _question(
    model_admin: ModelAdmin,
    request: HttpRequest,
    verb: str,
    rows: QuerySet[ListingSync],
    number: int,
    form: DismissForm | None,
    asked: Asked,
) -> TemplateResponse:
    if verb == DISMISS:
        title = ngettext("Dismiss %(count)s listing?", "Dismiss %(count)s listings?", number)
        button = ngettext("Dismiss %(count)s listing", "Dismiss %(count)s listings", number)
        line = gettext("What the platform shows stays as it is, until the target is another one.")
    else:
        title = ngettext("Send %(count)s listing again?", "Send %(count)s listings again?", number)
        button = ngettext("Send %(count)s listing again", "Send %(count)s listings again", number)
        line = gettext("Each is read first, and sent where it does not show its target.")
    named = rows.select_related("listing", "channel").order_by("pk")[:_NAMED]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title % {"count": formatting.count(number)},
        "button": button % {"count": formatting.count(number)},
        "line": line,
        "opts": model_admin.opts,
        "verb": verb,
        "form": form,
        "form_errors": form.errors if form is not None else {},
        "rows": named,
        "more": max(number - _NAMED, 0),
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME) if asked.is_bulk else [],
        "select_across": request.POST.get("select_across", "0"),
        "asked": asked,
    }
    status = 400 if form is not None and form.errors else None
    return TemplateResponse(request, "admin/integrations/sync/ask.html", context, status=status)
