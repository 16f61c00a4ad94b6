"""The sales of before the stock ledger: brought as files, looked at before they are stored, and taken away again."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from catalog.admin.files import FileForm, download, keep_applied, preview_context, take_preview
from catalog.models import Warehouse
from config import formatting
from config.admin_site import add_menu_item
from config.model_admin import person
from monitoring.models import SalesImport
from monitoring.services.planning import sales_history

MAY = "catalog.add_purchaseorder"  # who buys says what was sold


def _allowed(request: HttpRequest) -> None:
    if not request.user.has_perm(MAY):
        raise PermissionDenied


def _home() -> str:
    return reverse("watch:sales-history")


def history_page(request: HttpRequest) -> HttpResponse:
    """What is stored, by file, and what an uploaded file would store."""
    _allowed(request)
    form = FileForm(
        request,
        read=sales_history.read_sales,
        help_text=gettext(
            "CSV or .xlsx, at most 5 MB and %(most)s rows; split a longer history by months. Nothing is stored before "
            "you have seen what it says."
        )
        % {"most": formatting.count(sales_history.MOST_ROWS)},
    )
    if form.is_valid():
        shown = sales_history.preview(rows=form.cleaned_data["file"], user=person(request), now=timezone.now())
        name = str(request.FILES["file"])
        context = {
            "title": gettext("What the file stores"),
            **preview_context(request, "sales", shown, shown.sales, name, changes=shown.places, errors=shown.errors),
            "sale_count": len(shown.sales),
        }
        return _page(request, "sales_history_preview.html", context)
    context = {
        "title": gettext("Sales history"),
        "form": form,
        "columns": [str(label) for label in sales_history.COLUMNS.values()],
        "warehouse": Warehouse.objects.filter(is_active=True).first(),
        "brought": sales_history.brought(SalesImport.objects.visible_to(person(request))),
    }
    return _page(request, "sales_history.html", context, status=400 if form.is_bound else None)


def _page(request: HttpRequest, name: str, context: dict[str, Any], status: int | None = None) -> HttpResponse:
    return TemplateResponse(
        request, f"monitoring/{name}", {**admin.site.each_context(request), **context}, status=status
    )


@require_POST
def apply(request: HttpRequest) -> HttpResponse:
    """Store what the person has just seen, all of it or nothing."""
    _allowed(request)
    taken = take_preview(request, "sales")
    if taken is not None:
        _places, sales, name = taken
        now = timezone.now()
        sales_history.apply(sales=sales, name=name, actor=person(request), now=now)
        keep_applied(request, "sales", now=now, url=_home())
        text = ngettext(
            "Stored the sales of %(count)s day of a SKU.", "Stored the sales of %(count)s days of SKUs.", len(sales)
        )
        next_step = gettext("The next plan counts with them.")
        messages.success(request, formatting.sentences(text % {"count": formatting.count(len(sales))}, next_step))
    return HttpResponseRedirect(_home())


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask whether what a file told is to be forgotten, and do it."""
    _allowed(request)
    files = SalesImport.objects.visible_to(person(request)).filter(pk=pk)
    if request.method == "POST":
        if file := files.first():
            count = sales_history.remove(brought=file, actor=person(request), now=timezone.now())
            text = ngettext(
                "Removed the sales of %(count)s day of a SKU.", "Removed the sales of %(count)s days of SKUs.", count
            )
            messages.success(request, text % {"count": formatting.count(count)})
        else:
            messages.warning(request, gettext("This file was removed already."))
        return HttpResponseRedirect(_home())
    file = get_object_or_404(files)
    context = {
        "title": gettext("Remove the sales of %(file)s") % {"file": file},
        "each": sales_history.brought(files)[0],
    }
    return _page(request, "sales_history_remove.html", context)


@require_safe
def template(request: HttpRequest) -> HttpResponseBase:
    """A table with the headings, and a line that shows how to fill it in."""
    _allowed(request)
    is_excel = request.GET.get("format") == "xlsx"
    return download(sales_history.template_rows(), name="sales", sheet="sales", is_excel=is_excel)


add_menu_item("plan", _("Sales history"), "watch:sales-history", permission=MAY, order=85)
