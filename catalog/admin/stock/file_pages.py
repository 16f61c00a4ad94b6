"""Stock counts as a file: a list to count by is taken away, and brought back with a look at what it books."""

import csv
import io
import secrets
from typing import Any

from django.contrib import admin, messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from catalog.admin.mapping.file_pages import FileForm
from catalog.admin.stock.scope import BOOK, url
from catalog.mapping import files
from catalog.models import Warehouse
from catalog.stock import importing
from catalog.stock.ledger import StockError
from config import formatting
from config.model_admin import person

PREVIEW_SECONDS = 1_800  # how long a preview waits for its confirmation
_SHOWN = 200  # changes and errors on the page
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def urls() -> list[URLPattern]:
    view = admin.site.admin_view
    return [
        path("file/", view(file_page), name="catalog_stock_file"),
        path("file/template/", view(template), name="catalog_stock_template"),
        path("file/apply/", view(apply), name="catalog_stock_apply"),
    ]


def _allowed(request: HttpRequest) -> None:
    if not request.user.has_perm(BOOK):
        raise PermissionDenied


def file_page(request: HttpRequest) -> HttpResponse:
    """Offers a list to count by, and shows what an uploaded file would book."""
    _allowed(request)
    form = FileForm(request.POST or None, request.FILES or None) if request.method == "POST" else FileForm()
    form.fields["file"].help_text = gettext(
        "CSV or .xlsx, at most 5 MB and 20,000 rows. Nothing is booked before you have seen what changes."
    )
    if request.method == "POST" and form.is_valid():
        try:
            upload = form.cleaned_data["file"]
            if upload.size > files.MOST_BYTES:
                raise files.Unreadable(gettext("The file is larger than 5 MB. Split it."))
            rows = importing.read_counts(upload.read())
        except files.Unreadable as error:
            form.add_error("file", str(error))
        else:
            return _preview_page(request, rows)
    context = {
        "title": gettext("Stock counts as a file"),
        "form": form,
        "warehouses": Warehouse.objects.all(),
        "columns": [str(label) for label in importing.COLUMNS.values()],
    }
    return _page(request, "file.html", context, status=400 if form.is_bound else None)


def _preview_page(request: HttpRequest, rows: list[importing.Row]) -> HttpResponse:
    shown = importing.preview(rows=rows, user=person(request))
    token = ""
    if shown.changes and not shown.errors:
        token = secrets.token_urlsafe(16)
        cache.set(_key(token), (request.user.pk, rows, shown.changes), PREVIEW_SECONDS)
    context = {
        "title": gettext("What the file books"),
        "shown": shown,
        "change_count": len(shown.changes),
        "error_count": len(shown.errors),
        "changes": shown.changes[:_SHOWN],
        "errors": shown.errors[:_SHOWN],
        "more": max(0, len(shown.changes) - _SHOWN),
        "more_errors": max(0, len(shown.errors) - _SHOWN),
        "token": token,
    }
    return _page(request, "file_preview.html", context)


def _page(request: HttpRequest, name: str, context: dict[str, Any], status: int | None = None) -> HttpResponse:
    return TemplateResponse(
        request, f"admin/catalog/stock/{name}", {**admin.site.each_context(request), **context}, status=status
    )


@require_POST
def apply(request: HttpRequest) -> HttpResponse:
    """Book what the person has just seen, all of it or nothing."""
    _allowed(request)
    key = _key(request.POST.get("token", ""))
    stored = cache.get(key)
    if stored is None or stored[0] != request.user.pk:
        messages.error(request, gettext("The preview is no longer there. Upload the file again."))
        return HttpResponseRedirect(url("stock_file"))
    _user, rows, changes = stored
    cache.delete(key)
    try:
        count = importing.apply(changes=changes, actor=person(request), now=timezone.now())
    except importing.Moved as moved:
        text = ngettext(
            "The books of %(count)s row changed since the preview. Nothing was booked; look at it again.",
            "The books of %(count)s rows changed since the preview. Nothing was booked; look at it again.",
            moved.count,
        )
        messages.warning(request, text % {"count": formatting.count(moved.count)})
        return _preview_page(request, rows)
    except StockError as error:
        messages.error(request, f"{error} {gettext('Nothing was booked; upload the file again.')}")
        return HttpResponseRedirect(url("stock_file"))
    text = ngettext("Booked %(count)s count.", "Booked %(count)s counts.", count)
    messages.success(request, text % {"count": formatting.count(count)})
    return HttpResponseRedirect(url("stocklevel_changelist"))


def _key(token: str) -> str:
    return f"count-preview:{token[:64]}"


@require_safe
def template(request: HttpRequest) -> HttpResponse:
    """An empty table of counts, or one with the SKUs that are to be counted in the chosen warehouse."""
    _allowed(request)
    chosen = request.GET.get("warehouse", "")
    known = Warehouse.objects.filter(pk=chosen) if chosen.isdecimal() and len(chosen) < 19 else Warehouse.objects.none()
    warehouse = known.first()
    skus = importing.countable(person(request))[: files.MOST_ROWS] if warehouse else []
    rows = importing.template_rows(skus, warehouse)
    is_excel = request.GET.get("format") == "xlsx"
    if is_excel:
        answer = HttpResponse(files.excel_file(rows, "counts"), content_type=_EXCEL)
    else:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        # With a byte order mark, by which Excel knows UTF-8.
        answer = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="counts.{"xlsx" if is_excel else "csv"}"'
    patch_cache_control(answer, private=True, no_store=True)
    return answer
