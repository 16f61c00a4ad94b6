"""Mappings as a file: taken away as CSV or Excel, and brought back with a look at what it changes."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from catalog.admin.files import FileForm, download, keep_applied, preview_context, take_preview
from catalog.mapping import files
from catalog.models import Channel, Listing
from catalog.services import audit
from config import formatting
from config.admin_site import add_menu_item
from config.model_admin import person

VIEW, CHANGE = "catalog.view_listing", "catalog.change_listing"


def urls() -> list[URLPattern]:
    view = admin.site.admin_view
    return [
        path("mapping/", view(file_page), name="catalog_mapping_file"),
        path("mapping/export/", view(export), name="catalog_mapping_export"),
        path("mapping/apply/", view(apply), name="catalog_mapping_apply"),
        path("mapping/undo/<int:event_id>/", view(undo), name="catalog_mapping_undo"),
    ]


def _allowed(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def file_page(request: HttpRequest) -> HttpResponseBase:
    """Offers the export, and shows what an uploaded file would change."""
    _allowed(request, CHANGE if request.method == "POST" else VIEW)
    form = FileForm(
        request,
        read=files.read_file,
        help_text=gettext(
            "CSV or .xlsx, at most 5 MB and 20,000 rows. Nothing is written before you have seen what changes."
        ),
    )
    if form.is_valid():
        return _preview_page(request, files.preview(rows=form.cleaned_data["file"], user=person(request)))
    context = {
        "title": gettext("Mapping file"),
        "form": form,
        "channels": Channel.objects.visible_to(person(request)).order_by("name"),
        "may_change": request.user.has_perm(CHANGE),
        "recent": files.recent_imports(person(request), timezone.now()) if request.user.has_perm(CHANGE) else [],
        "now": timezone.now(),
        "columns": [str(label) for label in files.COLUMNS.values()],
    }
    return _page(request, "file.html", context, status=400 if form.is_bound else None)


def _preview_page(request: HttpRequest, shown: files.Preview) -> HttpResponse:
    context = {
        "title": gettext("What the file changes"),
        **preview_context(request, "mapping", shown, changes=shown.changes, errors=shown.errors),
    }
    return _page(request, "preview.html", context)


def _page(request: HttpRequest, template: str, context: dict[str, Any], status: int | None = None) -> HttpResponse:
    return TemplateResponse(
        request, f"admin/catalog/mapping/{template}", {**admin.site.each_context(request), **context}, status=status
    )


@require_POST
def apply(request: HttpRequest) -> HttpResponseBase:
    """Write what the person has just seen, all of it or nothing."""
    _allowed(request, CHANGE)
    back = HttpResponseRedirect(reverse("admin:catalog_mapping_file"))
    taken = take_preview(request, "mapping")
    if taken is None:
        return back
    now = timezone.now()
    try:
        count = files.apply(changes=taken[0], actor=person(request), now=now)
    except files.Moved as moved:
        text = ngettext(
            "%(count)s listing was changed since the preview. Nothing was written; upload the file again.",
            "%(count)s listings were changed since the preview. Nothing was written; upload the file again.",
            moved.count,
        )
        messages.error(request, text % {"count": formatting.count(moved.count)})
        return back
    keep_applied(request, "mapping", now=now, url=reverse("admin:catalog_listing_changelist"))
    text = ngettext("Changed %(count)s mapping.", "Changed %(count)s mappings.", count)
    messages.success(
        request, formatting.sentences(text % {"count": formatting.count(count)}, gettext("Undo it below."))
    )
    return back


@require_http_methods(["GET", "HEAD", "POST"])
def undo(request: HttpRequest, event_id: int) -> HttpResponseBase:
    """Ask whether what a file changed is to be as it was before, and do it."""
    _allowed(request, CHANGE)
    user, now = person(request), timezone.now()
    event = next((each for each in files.recent_imports(user, now) if each.pk == event_id), None)
    if event is None:
        messages.warning(request, gettext("Nothing was changed: it was undone before, or is too long ago."))
        return HttpResponseRedirect(reverse("admin:catalog_mapping_file"))
    if request.method != "POST":
        count = event.changes["mappings"][1]
        text = ngettext("Undo %(count)s mapping", "Undo %(count)s mappings", count)
        return _page(
            request, "undo.html", {"title": text % {"count": formatting.count(count)}, "event": event, "now": now}
        )
    done, left = files.undo_import(event=event, actor=user, now=now)
    if not done and not left:
        messages.warning(request, gettext("Nothing was changed: it was undone before, or is too long ago."))
    if done:
        text = ngettext("%(count)s mapping is as it was before.", "%(count)s mappings are as they were before.", done)
        messages.success(request, text % {"count": formatting.count(done)})
    if left:
        text = ngettext(
            "%(count)s left alone: its listing was changed since.",
            "%(count)s left alone: their listings were changed since.",
            left,
        )
        messages.warning(request, text % {"count": formatting.count(left)})
    return HttpResponseRedirect(reverse("admin:catalog_mapping_file"))


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The mappings of the channels that the person sees, or of the one they name."""
    _allowed(request, VIEW)
    user = person(request)
    listings = Listing.objects.visible_to(user).current()
    chosen = request.GET.get("channel", "")
    channel = (
        Channel.objects.visible_to(user).filter(pk=chosen).first() if chosen.isdecimal() and len(chosen) < 19 else None
    )
    if channel is not None:
        listings = listings.filter(channel=channel)
    is_excel = request.GET.get("format") == "xlsx"
    if is_excel and listings.count() > files.MOST_EXCEL_ROWS:
        messages.error(request, gettext("An Excel file holds at most 50,000 listings here. Take a CSV file."))
        return HttpResponseRedirect(reverse("admin:catalog_mapping_file"))
    name = f"mapping-{channel.pk if channel else 'all'}"
    audit(
        action=gettext_noop("exported"),
        obj=channel or user,
        actor=user,
        now=timezone.now(),
        changes={gettext_noop("file"): ["", f"{name}.{'xlsx' if is_excel else 'csv'}"]},
    )
    return download(files.export_rows(listings), name=name, sheet="mapping", is_excel=is_excel)


add_menu_item("sync", _("Mapping file"), "admin:catalog_mapping_file", permission=VIEW, order=28)
