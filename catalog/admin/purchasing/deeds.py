"""What people do with a purchase order: send it, receive it, cancel it; each is shown in a sentence first."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.product import may_see_cost
from catalog.admin.stock.deeds import KEY_LENGTH, Done, Shown, capitalise_labels, reason_field, units_field
from catalog.admin.stock.scope import product_line, url
from catalog.models import PurchaseOrder, PurchaseOrderLine, PurchaseReceipt, SupplierSku, User
from catalog.purchasing.orders import cancel_order, receive_order, send_order
from config import formatting
from config.model_admin import person


def day_field(help_text: Any) -> forms.DateField:
    """When an order is expected: suppliers name days."""
    return forms.DateField(
        label=_("Expected on"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=help_text,
    )


def start_of(day: date | None) -> datetime | None:
    """The beginning of the day, in the site's zone."""
    return None if day is None else timezone.make_aware(datetime.combine(day, time()))


class _OrderForm(forms.Form):
    """A deed on one order, whose lines it knows."""

    name = ""

    def __init__(self, *args: Any, request: HttpRequest, order: PurchaseOrder, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)
        self.request, self.order = request, order
        self.line = f"{order.supplier} → {order.warehouse}"
        self.lines: list[PurchaseOrderLine] = list(order.lines.select_related("sku__product"))

    def done(self, text: str) -> Done:
        return Done(text, url("purchaseorder_change", self.order.pk))

    def told_of_warehouse(self) -> list[str]:
        if self.order.warehouse.is_active:
            return []
        message = gettext("%(warehouse)s is not active: what is there is not offered.")
        return [message % {"warehouse": self.order.warehouse}]


class SendOrderForm(_OrderForm):
    name = "send_order"
    title = _("Send the order")

    expected_on = day_field(_("The day on which the goods arrive. Empty: not known."))

    def __init__(self, *args: Any, order: PurchaseOrder, **kwargs: Any) -> None:
        days = order.supplier.lead_time_days
        usual = None if days is None else timezone.localdate() + timedelta(days=days)
        expected = timezone.localdate(order.expected_at) if order.expected_at else usual
        initial = {"expected_on": expected, **(kwargs.pop("initial", None) or {})}
        super().__init__(*args, order=order, initial=initial, **kwargs)

    def clean_expected_on(self) -> date | None:
        expected: date | None = self.cleaned_data["expected_on"]
        if expected is not None and expected < timezone.localdate():
            raise forms.ValidationError(gettext("This day has passed. Enter a later one, or none."))
        return expected

    def shown(self) -> Shown:
        expected = start_of(self.cleaned_data["expected_on"])
        units = sum(line.quantity for line in self.lines)
        figures = {
            "units": formatting.units(units),
            "supplier": self.order.supplier,
            "warehouse": self.order.warehouse,
            "expected": formatting.day(expected, timezone.now()),
        }
        if expected is None:
            sentence = gettext("%(units)s from %(supplier)s count as on their way to %(warehouse)s.")
        else:
            sentence = gettext(
                "%(units)s from %(supplier)s count as on their way to %(warehouse)s, expected %(expected)s."
            )
        told = [sentence % figures, gettext("Nothing is sent to the supplier from here: tell them yourself.")]
        seen = [f"{line.sku_id}:{line.quantity}:{line.unit_cost}" for line in self.lines]
        seen += [str(expected), str(self.order.supplier_id), str(self.order.warehouse_id)]
        return Shown(formatting.sentences(*told), gettext("Send the order"), _mark(seen), self._warning())

    def _warning(self) -> str:
        """What the supplier may not accept, as far as this person may know of prices."""
        terms = {each.sku_id: each for each in SupplierSku.objects.filter(supplier=self.order.supplier_id)}
        odd = [
            line.sku.code
            for line in self.lines
            if (own := terms.get(line.sku_id)) and (line.quantity % own.pack or line.quantity < own.minimum)
        ]
        told = self.told_of_warehouse()
        if odd:
            message = gettext("Not in whole packs, or below the minimum order: %(skus)s.")
            told.append(message % {"skus": formatting.joined(odd)})
        least = least_value(self.order)
        if least is not None and may_see_cost(self.request):
            value = order_value(self.lines)
            if value is None:
                told.append(
                    gettext("Its value is not known, so nobody can tell whether it is enough for the supplier.")
                )
            elif value < least:
                message = gettext("%(value)s of %(least)s, which the supplier asks for at least: add %(missing)s.")
                figures = {"value": value, "least": least, "missing": least - value}
                written = {name: formatting.money(each, self.order.currency) for name, each in figures.items()}
                told.append(message % written)
        return formatting.sentences(*told)

    def book(self, key: str, actor: User, now: datetime) -> Done:
        order = send_order(
            order_id=self.order.pk, actor=actor, expected_at=start_of(self.cleaned_data["expected_on"]), now=now
        )
        return self.done(gettext("%(order)s counts as on its way.") % {"order": order})


class ReceiveOrderForm(_OrderForm):
    """What arrived, line by line."""

    name = "receive_order"
    title = _("Receive the order")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for line in self.lines:
            field = units_field(f"{line.sku.code} · {product_line(line.sku)}", least=0)
            field.initial = line.outstanding
            field.help_text = gettext("%(due)s of %(ordered)s are to come.") % {
                "due": formatting.count(line.outstanding),
                "ordered": formatting.count(line.quantity),
            }
            self.fields[f"line_{line.pk}"] = field
        self.fields["accept_more"] = forms.BooleanField(
            label=_("More arrived than was ordered"), required=False, help_text=_("Then it is booked as well.")
        )
        self.fields["note"] = forms.CharField(
            label=_("Note"),
            max_length=200,
            required=False,
            help_text=_("For example the delivery note."),
            widget=forms.TextInput(attrs={"class": "vTextField"}),
        )

    def arrived(self) -> dict[int, int]:
        return {line.pk: self.cleaned_data[f"line_{line.pk}"] for line in self.lines}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors or self._is_booked():
            return data
        units = {line.pk: data[f"line_{line.pk}"] for line in self.lines}
        if not any(units.values()):
            raise forms.ValidationError(gettext("0 units change nothing. Enter how many."))
        for line in self.lines:
            if units[line.pk] > line.outstanding and not data["accept_more"]:
                message = gettext("%(due)s were to come. Enter less, or tick below that more arrived.")
                self.add_error(f"line_{line.pk}", message % {"due": formatting.count(line.outstanding)})
        return data

    def _is_booked(self) -> bool:
        """Whether this very form was sent before: then it is the same receipt again, and not more than was ordered."""
        key = f"hand:{person(self.request).pk}:{self.name}:{self.data.get('key', '')[:KEY_LENGTH]}"
        return PurchaseReceipt.objects.filter(key=key).exists()

    def shown(self) -> Shown:
        arrived = self.arrived()
        units = sum(arrived.values())
        due = sum(line.outstanding for line in self.lines)
        rest = sum(max(0, line.outstanding - arrived[line.pk]) for line in self.lines)
        more = [line.sku.code for line in self.lines if arrived[line.pk] > line.outstanding]
        figures = {
            "units": formatting.count(units),
            "due": formatting.count(due),
            "rest": formatting.count(rest),
            "warehouse": self.order.warehouse,
        }
        if rest:
            sentence = gettext("%(units)s of %(due)s arrive in %(warehouse)s; still to come: %(rest)s.")
        else:
            sentence = gettext("%(units)s of %(due)s arrive in %(warehouse)s; nothing more is to come.")
        told = self.told_of_warehouse()
        if more:
            told.append(gettext("More than was to come: %(skus)s.") % {"skus": formatting.joined(more)})
        mark = _mark([f"{line}:{number}" for line, number in arrived.items()])
        return Shown(sentence % figures, gettext("Receive %(units)s") % figures, mark, formatting.sentences(*told))

    def book(self, key: str, actor: User, now: datetime) -> Done:
        receipt = receive_order(
            order_id=self.order.pk,
            arrived=self.arrived(),
            key=key,
            actor=actor,
            note=self.cleaned_data["note"],
            accept_more=self.cleaned_data["accept_more"],
            now=now,
        )
        units = sum(self.arrived().values())
        text = gettext("%(units)s arrived in %(destination)s.") % {
            "units": formatting.units(units),
            "destination": receipt.order.warehouse,
        }
        return self.done(text)


class CancelOrderForm(_OrderForm):
    name = "cancel_order"
    title = _("Cancel the order")

    reason = reason_field(required=False)

    def shown(self) -> Shown:
        rest = sum(line.outstanding for line in self.lines)
        came = sum(line.received for line in self.lines)
        figures = {"rest": formatting.count(rest), "came": formatting.count(came), "order": self.order}
        if came:
            sentence = ngettext(
                "%(rest)s unit of %(order)s is counted on no more; %(came)s arrived and stay.",
                "%(rest)s units of %(order)s are counted on no more; %(came)s arrived and stay.",
                rest,
            )
            button = gettext("Cancel the rest")
        else:
            sentence = ngettext(
                "%(rest)s unit of %(order)s is counted on no more.",
                "%(rest)s units of %(order)s are counted on no more.",
                rest,
            )
            button = gettext("Cancel the order")
        warning = "" if self.order.is_draft else gettext("The supplier is not told from here: tell them yourself.")
        return Shown(sentence % figures, button, f"{self.order.pk}:{rest}:{came}", warning)

    def book(self, key: str, actor: User, now: datetime) -> Done:
        order = cancel_order(order_id=self.order.pk, actor=actor, reason=self.cleaned_data["reason"], now=now)
        if order.status == PurchaseOrder.Status.RECEIVED:
            return self.done(gettext("The rest of %(order)s is cancelled.") % {"order": order})
        return self.done(gettext("%(order)s is cancelled.") % {"order": order})


def _mark(parts: list[str]) -> str:
    """Prices are among the parts, and not everybody may read them."""
    return sha256("|".join(parts).encode()).hexdigest()


def order_value(lines: list[PurchaseOrderLine]) -> Decimal | None:
    """What the ordered units cost together; None: the price of a line is not known."""
    total = Decimal(0)
    for line in lines:
        if line.unit_cost is None:
            return None
        total += line.unit_cost * line.quantity
    return total


def least_value(order: PurchaseOrder) -> Decimal | None:
    """What the supplier asks for at least in one order; None: nothing, or it cannot be compared."""
    return order.supplier.minimum_value if order.supplier.currency == order.currency else None
