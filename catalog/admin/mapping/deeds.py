"""What is done about proposals, one or many: accept, add, reject, create SKUs, undo; and what is told of it."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.mapping.shops import tell_codes
from catalog.mapping import Decided, accept, add_unmapped, new_skus, reject, take_back
from catalog.mapping.words import left_sentences
from catalog.models import Proposal
from config import formatting
from config.admin_site import (
    add_action,
)
from config.model_admin import person

DECIDE = ("catalog.add_listing", "catalog.change_listing")
MAKE_SKUS = ("catalog.add_sku", "catalog.add_product")
_PLAN_SHOWN = 200  # SKUs that are to be made, on the page
_ASKS_ABOVE = 50  # a deed to more proposals than this is asked about first
_SAMPLE = 20  # of them, shown with the question


def check_may_decide(request: HttpRequest) -> None:
    if not request.user.has_perms(DECIDE):
        raise PermissionDenied


def accept_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    check_may_decide(request)
    now = timezone.now()
    tell_accepted(model_admin, request, accept(proposals=proposals, actor=person(request), now=now), now)


def add_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    check_may_decide(request)
    now = timezone.now()
    decided = add_unmapped(proposals=proposals, actor=person(request), now=now)
    text = ngettext("Added %(count)s listing without a SKU.", "Added %(count)s listings without a SKU.", decided.added)
    _tell(model_admin, request, decided, decided.added, text, now)


def reject_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    check_may_decide(request)
    now = timezone.now()
    decided = reject(proposals=proposals, actor=person(request), now=now)
    text = ngettext("Rejected %(count)s proposal.", "Rejected %(count)s proposals.", decided.done)
    _tell(model_admin, request, decided, decided.done, text, now)


def undo_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    check_may_decide(request)
    decided = take_back(proposals=proposals, actor=person(request), now=timezone.now())
    text = ngettext("Took back %(count)s decision.", "Took back %(count)s decisions.", decided.done)
    _tell(model_admin, request, decided, decided.done, text)


def create_chosen(
    model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal], *, is_one: bool = False
) -> HttpResponse | None:
    """Show the SKUs that are to be made of the proposals; once somebody agrees to just these, make them."""
    check_may_decide(request)
    if not request.user.has_perms(MAKE_SKUS):
        raise PermissionDenied
    now = timezone.now()
    planned = new_skus.plan(proposals=proposals, is_one=is_one)
    seal = sha256(json.dumps(planned.facts).encode()).hexdigest()
    if not request.POST.get("confirmed"):
        return _plan_page(model_admin, request, planned, seal, is_one=is_one)
    try:
        if seal != request.POST.get("seal"):
            raise new_skus.Outdated
        decided = new_skus.create(
            proposals=proposals, shown=planned.facts, actor=person(request), now=now, is_one=is_one
        )
    except (new_skus.Outdated, IntegrityError):
        model_admin.message_user(
            request, gettext("It has changed since you opened this page. Look at it again."), messages.WARNING
        )
        return None
    text = ngettext("Created %(count)s SKU.", "Created %(count)s SKUs.", decided.done)
    tell_accepted(model_admin, request, decided, now, text)
    return None


def create_one(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> HttpResponse | None:
    return create_chosen(model_admin, request, proposals, is_one=True)


def _plan_page(
    model_admin: ModelAdmin, request: HttpRequest, planned: new_skus.Plan, seal: str, *, is_one: bool
) -> HttpResponse:
    count = len(planned.skus)
    reasons = Decided(left=Counter(reason for _proposal, reason in planned.left))
    text = ngettext("Create %(count)s SKU", "Create %(count)s SKUs", count)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": text % {"count": formatting.count(count)},
        "opts": model_admin.opts,
        "planned": planned.skus[:_PLAN_SHOWN],
        "more": max(0, count - _PLAN_SHOWN),
        "left": list(left_sentences(reasons)),
        "seal": seal,
        "is_one": is_one,
        "select_across": request.POST.get("select_across", "0"),
        "chosen": request.POST.getlist("_selected_action"),
        "back": request.path.removesuffix("decide/") + "change/" if is_one else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/catalog/proposal/create.html", context)


def tell_accepted(
    model_admin: ModelAdmin, request: HttpRequest, decided: Decided, at: datetime, text: str = ""
) -> None:
    text = text or ngettext("Accepted %(count)s proposal.", "Accepted %(count)s proposals.", decided.done)
    if decided.added:
        new = ngettext("%(added)s listing is new.", "%(added)s listings are new.", decided.added)
        text = f"{text} {new}"
    _tell(model_admin, request, decided, decided.done, text, at)


def _tell(
    model_admin: ModelAdmin,
    request: HttpRequest,
    decided: Decided,
    count: int,
    text: str,
    at: datetime | None = None,
) -> None:
    """What was done, with the way to undo all that was decided `at` that time, and what was left alone and why."""
    if count:
        told = text % {"count": formatting.count(count), "added": formatting.count(decided.added)}
        if at:
            url = f"{reverse('admin:catalog_proposal_undo')}?{urlencode({'at': at.isoformat()})}"
            told = format_html('{} <a href="{}">{}</a>', told, url, gettext("Look at them or undo"))
        model_admin.message_user(request, told, messages.SUCCESS)
    for sentence in left_sentences(decided):
        model_admin.message_user(request, sentence, messages.WARNING)


DEEDS: dict[str, Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], HttpResponse | None]] = {
    "add": add_chosen,
    "create": create_one,
    "reject": reject_chosen,
    "undo": undo_chosen,
}


def _asked(
    name: str, label: Any, deed: Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], None]
) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """The deed as a bulk action, which asks first when it is about many."""

    def act(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Any]) -> HttpResponse | None:
        if request.POST.get("confirmed") or proposals.count() <= _ASKS_ABOVE:
            deed(model_admin, request, proposals)
            return None
        return ask(model_admin, request, proposals, name=name, label=label, back=request.get_full_path())

    return act


def ask(
    model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Any], *, name: str, label: Any, back: str
) -> HttpResponse:
    """The page that asks about a deed to many, with some of them."""
    count = proposals.count()
    sample = list(proposals.select_related("channel").order_by("-pk")[:_SAMPLE])
    tell_codes(sample, request)
    for proposal in sample:
        proposal.shown_code = proposal.codes.get(proposal.sku_id, "")
    text = ngettext("%(deed)s: %(count)s proposal", "%(deed)s: %(count)s proposals", count)
    title = text % {"deed": label, "count": formatting.count(count)}
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "button": title,
        "opts": model_admin.opts,
        "sample": sample,
        "more": count - len(sample),
        "action": name,
        "select_across": request.POST.get("select_across", "0"),
        "chosen": request.POST.getlist("_selected_action"),
        "back": back,
    }
    return TemplateResponse(request, "admin/catalog/proposal/ask.html", context)


for _order, (_name, _label, _deed, _permission) in enumerate(
    [
        ("accept_proposals", _("Accept"), accept_chosen, DECIDE[1]),
        ("add_unmapped", _("Add without a SKU"), add_chosen, DECIDE[0]),
        ("reject_proposals", _("Reject"), reject_chosen, DECIDE[1]),
        ("undo_decision", _("Undo"), undo_chosen, DECIDE[1]),
    ]
):
    add_action(Proposal, _name, _label, _asked(_name, _label, _deed), permission=_permission, order=2 * _order)
add_action(Proposal, "create_skus", _("Create SKUs…"), create_chosen, permission=MAKE_SKUS[0], order=1)
