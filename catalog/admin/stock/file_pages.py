"""Stock counts as a file: a list to count by is taken away, and brought back with a look at what it books."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from catalog.admin.files import FileForm, download, keep_applied, preview_context, take_preview
from catalog.admin.stock.scope import BOOK, url
from catalog.mapping import files
from catalog.models import Warehouse
from catalog.stock import importing
from catalog.stock.ledger import StockError
from config import formatting
from config.model_admin import person


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
    form = FileForm(
        request,
        read=importing.read_counts,
        help_text=gettext(
            "CSV or .xlsx, at most 5 MB and 20,000 rows. Nothing is booked before you have seen what changes."
        ),
    )
    if form.is_valid():
        return _preview_page(request, form.cleaned_data["file"])
    context = {
        "title": gettext("Stock counts as a file"),
        "form": form,
        "warehouses": Warehouse.objects.all(),
        "columns": [str(label) for label in importing.COLUMNS.values()],
    }
    return _page(request, "file.html", context, status=400 if form.is_bound else None)


def _preview_page(request: HttpRequest, rows: list[importing.Row]) -> HttpResponse:
    shown = importing.preview(rows=rows, user=person(request))
    context = {
        "title": gettext("What the file books"),
        **preview_context(request, "count", shown, rows, changes=shown.changes, errors=shown.errors),
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
    taken = take_preview(request, "count")
    if taken is None:
        return HttpResponseRedirect(url("stock_file"))
    changes, rows = taken
    now = timezone.now()
    try:
        count = importing.apply(changes=changes, actor=person(request), now=now)
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
    keep_applied(request, "count", now=now, url=url("stocklevel_changelist"))
    text = ngettext("Booked %(count)s count.", "Booked %(count)s counts.", count)
    messages.success(request, text % {"count": formatting.count(count)})
    return HttpResponseRedirect(url("stocklevel_changelist"))


@require_safe
def template(request: HttpRequest) -> HttpResponseBase:
    """An empty table of counts, or one with the SKUs that are to be counted in the chosen warehouse."""
    _allowed(request)
    chosen = request.GET.get("warehouse", "")
    known = Warehouse.objects.filter(pk=chosen) if chosen.isdecimal() and len(chosen) < 19 else Warehouse.objects.none()
    warehouse = known.first()
    skus = importing.countable(person(request))[: files.MOST_ROWS] if warehouse else []
    is_excel = request.GET.get("format") == "xlsx"
    return download(importing.template_rows(skus, warehouse), name="counts", sheet="counts", is_excel=is_excel)
