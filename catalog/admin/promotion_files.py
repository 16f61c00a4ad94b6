"""Promotions from a file: what merchants have in their tables, with a look at what it stores."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from catalog.admin.files import FileForm, download, keep_applied, preview_context, take_preview
from catalog.admin.places import time_zone_choices
from catalog.models import Channel
from catalog.promotions import importing
from config import formatting
from config.model_admin import person

ADD, CHANGE = "catalog.add_promotion", "catalog.change_promotion"


class PromotionFileForm(FileForm):
    """An upload, and what no table says of itself: the shop, the unit of its amounts, the zone of its times."""

    channel = forms.ModelChoiceField(Channel.objects.none(), label=_("Channel"), empty_label="—")
    unit = forms.ChoiceField(
        label=_("Amounts are in"),
        choices=[("major", _("whole units: 19.90 yuan, dollars")), ("minor", _("hundredths: 1990 fen, cents"))],
        initial="major",
    )
    zone = forms.ChoiceField(
        label=_("Time zone"), required=False, help_text=_("Of times that do not say it themselves.")
    )
    field_order = ["channel", "unit", "zone", "file"]

    def __init__(self, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(request, **kwargs)
        channels: Any = self.fields["channel"]
        channels.queryset = Channel.objects.visible_to(person(request)).order_by("name")
        zones: Any = self.fields["zone"]
        zones.choices = [("", _("that of the channel")), *time_zone_choices("")]

    def asked(self) -> importing.Terms:
        given = self.cleaned_data
        channel = given["channel"]
        return importing.Terms(channel, given["zone"] or channel.time_zone, is_minor=given["unit"] == "minor")


def urls() -> list[URLPattern]:
    view = admin.site.admin_view
    return [
        path("file/", view(file_page), name="catalog_promotion_file"),
        path("file/template/", view(template), name="catalog_promotion_template"),
        path("file/apply/", view(apply), name="catalog_promotion_apply"),
    ]


def may_import(request: HttpRequest) -> bool:
    return request.user.has_perms((ADD, CHANGE))


def _allowed(request: HttpRequest) -> None:
    if not may_import(request):
        raise PermissionDenied


def file_page(request: HttpRequest) -> HttpResponse:
    """Offers an empty table, and shows what an uploaded file would store."""
    _allowed(request)
    form = PromotionFileForm(
        request,
        read=importing.read_promotions,
        help_text=gettext(
            "CSV or .xlsx, at most 5 MB and 20,000 rows. Nothing is stored before you have seen what changes."
        ),
    )
    if form.is_valid():
        return _preview_page(request, form.cleaned_data["file"], form.asked())
    context = {
        "title": gettext("Promotions from a file"),
        "form": form,
        "columns": [str(label) for label in importing.COLUMNS.values()],
    }
    return _page(request, "file.html", context, status=400 if form.is_bound else None)


def _preview_page(request: HttpRequest, rows: list[importing.Row], asked: importing.Terms) -> HttpResponse:
    shown = importing.preview(rows=rows, asked=asked)
    context = {
        "title": gettext("What the file stores"),
        "channel": asked.channel,
        **preview_context(request, "promotion", shown, rows, asked, changes=shown.changes, errors=shown.errors),
    }
    return _page(request, "file_preview.html", context)


def _page(request: HttpRequest, name: str, context: dict[str, Any], status: int | None = None) -> HttpResponse:
    return TemplateResponse(
        request, f"admin/catalog/promotion/{name}", {**admin.site.each_context(request), **context}, status=status
    )


@require_POST
def apply(request: HttpRequest) -> HttpResponse:
    """Store what the person has just seen, all of it or nothing."""
    _allowed(request)
    taken = take_preview(request, "promotion")
    back = HttpResponseRedirect(reverse("admin:catalog_promotion_file"))
    if taken is None:
        return back
    changes, rows, asked = taken
    channel = Channel.objects.visible_to(person(request)).filter(pk=asked.channel.pk).first()
    if channel is None:
        messages.error(request, gettext("You do not work with this channel any more. Nothing was stored."))
        return back
    now = timezone.now()
    try:
        count = importing.apply(changes=changes, channel=channel, actor=person(request), now=now)
    except importing.Moved as moved:
        text = ngettext(
            "%(count)s promotion changed since the preview. Nothing was stored; look at it again.",
            "%(count)s promotions changed since the preview. Nothing was stored; look at it again.",
            moved.count,
        )
        messages.warning(request, text % {"count": formatting.count(moved.count)})
        return _preview_page(request, rows, asked)
    stored = f"{reverse('admin:catalog_promotion_changelist')}?source__exact=file"
    keep_applied(request, "promotion", now=now, url=stored)
    text = ngettext("Stored %(count)s promotion.", "Stored %(count)s promotions.", count)
    messages.success(request, text % {"count": formatting.count(count)})
    return HttpResponseRedirect(stored)


@require_safe
def template(request: HttpRequest) -> HttpResponseBase:
    """A table with the columns and two examples."""
    _allowed(request)
    is_excel = request.GET.get("format") == "xlsx"
    return download(importing.template_rows(), name="promotions", sheet="promotions", is_excel=is_excel)
