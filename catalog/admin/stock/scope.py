"""What of the stock a person sees, and how its figures are written."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import Channel, Sku, StockMovement, Transfer
from config import formatting
from config.model_admin import person

BOOK = "catalog.add_stockmovement"


def of_visible_skus(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Those of the rows that are about a SKU the person sees."""
    user = person(request)
    return rows if user.sees_all_channels else rows.filter(sku__in=Sku.objects.visible_to(user))


def visible_channels(request: HttpRequest) -> set[int]:
    """The keys of the person's channels; one query for a request, whoever asks."""
    found: set[int] | None = getattr(request, "evenshelf_visible_channels", None)
    if found is None:
        found = set(Channel.objects.visible_to(person(request)).values_list("pk", flat=True))
        request.evenshelf_visible_channels = found  # type: ignore[attr-defined]
    return found


def hide_foreign(movements: list[Any], request: HttpRequest) -> None:
    """Tell each movement whether the person sees its channel, and with it its order."""
    if any(movement.channel_id for movement in movements):
        seen = visible_channels(request)
        for movement in movements:
            movement.is_foreign = movement.channel_id is not None and movement.channel_id not in seen


def signed(units: int) -> str:
    """A change of stock: +5, −3, 0."""
    return f"+{formatting.count(units)}" if units > 0 else formatting.count(units)


def in_transit(*, to_warehouse: bool = True) -> Subquery:
    """Units that are on their way to the level's warehouse, for an annotation of stock levels."""
    under_way = Transfer.objects.filter(received_at__isnull=True, sku=OuterRef("sku"))
    if to_warehouse:
        under_way = under_way.filter(destination=OuterRef("warehouse"))
    return Subquery(under_way.order_by().values("sku").annotate(units=Sum("quantity")).values("units"))


def sku_cell(row: Any) -> SafeString:
    """The SKU of a row, below it what it is."""
    return format_html(
        '<strong>{}</strong><small title="{}">{}</small>', row.sku.code, row.sku.product, product_line(row.sku)
    )


def product_line(sku: Sku) -> str:
    return f"{sku.product} {sku.name}".strip()


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:catalog_{name}", args=args)


def on_hand_part(movement: StockMovement) -> int:
    return 0 if movement.kind in StockMovement.RESERVING else movement.quantity


def reserved_part(movement: StockMovement) -> int:
    return movement.quantity if movement.kind in StockMovement.RESERVING else 0
