"""What people book by hand: counts, adjustments, receipts, transfers; each is shown in a sentence before it is booked.

A form bears a key from the moment it is opened, so that pressing its button twice books once.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import BOOK, product_line, signed, url
from catalog.models import BundleComponent, Sku, StockLevel, StockMovement, Transfer, User, Warehouse
from catalog.models.stock import MOST_UNITS
from catalog.stock import counts
from catalog.stock.ledger import Kind, Source, StockError
from catalog.stock.transfers import receive_transfer, send_transfer
from config import formatting
from config.model_admin import person

KEY_LENGTH = 40


@dataclass(frozen=True)
class Shown:
    """What would be booked: the sentence, what is wrong with it, the button's words, and a mark of all that.

    Somebody may only confirm a mark that they were shown.
    """

    sentence: str
    button: str
    mark: str
    warning: str = ""


@dataclass(frozen=True)
class Done:
    text: str
    url: str
    is_new: bool = True


def units_field(label: Any, *, least: int, help_text: Any = "") -> forms.IntegerField:
    """Whole units up to what can be booked at once; `least` below 0: with a sign."""

    def within(units: int) -> None:
        if not least <= units <= MOST_UNITS:
            raise forms.ValidationError(_LIMITS[min(least, 1)] % {"most": formatting.count(MOST_UNITS)})

    field = forms.IntegerField(
        label=label,
        help_text=help_text,
        validators=[within],
        error_messages={"required": _("Enter how many."), "invalid": _("Enter a whole number of units.")},
    )
    if least >= 0:
        field.widget.attrs["inputmode"] = "numeric"
    return field


_LIMITS: dict[int, Any] = {
    0: _("A count is 0 to %(most)s units."),
    1: _("Enter 1 to %(most)s units."),
    -MOST_UNITS: _("Enter at most %(most)s units, with a minus to take some away."),
}


def capitalise_labels(form: forms.Form) -> None:
    """As forms made of a model have them."""
    for field in form.fields.values():
        field.label = capfirst(str(field.label))


class BookingForm(forms.Form):
    """A deed on the stock of one SKU. Subclasses say what would be booked and book it."""

    name = ""
    title: Any = ""
    line: Any = ""

    sku = forms.ModelChoiceField(
        Sku.objects.none(),
        label=_("SKU"),
        error_messages={
            "required": _("Choose a SKU."),
            "invalid_choice": _("There is no such SKU. Choose one of the list."),
        },
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)
        field: Any = self.fields["sku"]
        field.queryset = Sku.objects.visible_to(person(request)).select_related("product")
        field.label_from_instance = lambda sku: f"{sku.code} · {product_line(sku)}"
        field.widget = AutocompleteSelect(StockLevel._meta.get_field("sku"), admin.site)
        field.widget.choices = field.choices

    def clean_sku(self) -> Sku:
        sku: Sku = self.cleaned_data["sku"]
        if BundleComponent.objects.filter(bundle=sku).exists():
            message = gettext("%(sku)s is a bundle and has no stock of its own. Book the SKUs it consists of.")
            raise forms.ValidationError(message % {"sku": sku})
        return sku

    def shown(self) -> Shown:
        raise NotImplementedError

    def book(self, key: str, actor: User, now: datetime) -> Done:
        raise NotImplementedError

    def level(self, warehouse: Warehouse) -> StockLevel:
        """The level as it stands; one that is not there yet is not counted."""
        sku = self.cleaned_data["sku"]
        found = StockLevel.objects.filter(sku=sku, warehouse=warehouse).first()
        return found or StockLevel(sku=sku, warehouse=warehouse)


def warehouse_field(label: Any) -> forms.ModelChoiceField:
    return forms.ModelChoiceField(
        Warehouse.objects.all(),
        label=label,
        error_messages={
            "required": _("Choose a warehouse."),
            "invalid_choice": _("There is no such warehouse. Choose one of the list."),
        },
    )


def reason_field(*, required: bool) -> forms.CharField:
    return forms.CharField(
        label=_("reason"),
        max_length=200,
        required=required,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        error_messages={"required": _("Say why the stock is changed.")},
    )


def _after(level: StockLevel, on_hand: int) -> str:
    """What is wrong with a level that would have so many units on hand."""
    missing = level.reserved - on_hand
    if missing <= 0:
        return ""
    text = ngettext(
        "%(missing)s unit more is promised to orders than there would be.",
        "%(missing)s units more are promised to orders than there would be.",
        missing,
    )
    return text % {"missing": formatting.count(missing)}


def _booked(level: StockLevel, is_new: bool, change: int | None) -> Done:
    place = {"sku": level.sku, "warehouse": level.warehouse, "on_hand": formatting.count(level.on_hand)}
    if not is_new or change is None:
        text = gettext(
            "This was booked already and is not booked again. %(sku)s in %(warehouse)s: %(on_hand)s on hand."
        )
        return Done(text % place, url("stocklevel_change", level.pk), is_new=False)
    text = gettext("Booked %(change)s. %(sku)s in %(warehouse)s: %(on_hand)s on hand.")
    return Done(text % {**place, "change": signed(change)}, url("stocklevel_change", level.pk))


class CountForm(BookingForm):
    name = "count"
    title = _("Count stock")
    line = _("What you found on the shelves; the difference is booked. The first count is the opening stock.")

    warehouse = warehouse_field(_("warehouse"))
    units = units_field(_("counted"), least=0, help_text=_("Units that are there, reserved ones among them."))
    reason = reason_field(required=False)

    def shown(self) -> Shown:
        level, units = self.level(self.cleaned_data["warehouse"]), self.cleaned_data["units"]
        change = units - level.on_hand
        figures = {
            "counted": formatting.count(units),
            "books": formatting.count(level.on_hand),
            "change": signed(change),
        }
        if not level.is_counted:
            sentence = gettext("Counted %(counted)s. Nothing was counted here before: this is the opening stock.")
        elif change:
            sentence = gettext("Counted %(counted)s; the books say %(books)s; books %(change)s.")
        else:
            sentence = gettext("Counted %(counted)s, as the books say. The count is kept.")
        # Of a count the difference is what somebody agrees to: when the books moved, it is another.
        mark = f"{level.sku_id}:{level.warehouse_id}:{units}:{level.on_hand}:{level.is_counted}"
        button = gettext("Book the count") if not change else gettext("Book %(change)s") % figures
        return Shown(sentence % figures, button, mark, _after(level, units))

    def book(self, key: str, actor: User, now: datetime) -> Done:
        data = self.cleaned_data
        level = self.level(data["warehouse"])
        movement = counts.count(
            sku_id=data["sku"].pk,
            warehouse_id=data["warehouse"].pk,
            counted=data["units"],
            key=key,
            actor=actor,
            reason=data["reason"],
            source=Source.COUNT if level.is_counted else Source.OPENING,
            now=now,
        )
        return _booked(self.level(data["warehouse"]), movement is not None, movement.quantity if movement else None)


class AdjustForm(BookingForm):
    name = "adjust"
    title = _("Adjust stock")
    line = _("Units added or taken away, for a reason: breakage, a gift, a find")
    kind = Kind.ADJUSTMENT

    warehouse = warehouse_field(_("warehouse"))
    units = units_field(_("units"), least=-MOST_UNITS, help_text=_("With a minus to take some away, for example -2."))
    reason = reason_field(required=True)

    def clean_units(self) -> int:
        units: int = self.cleaned_data["units"]
        if units == 0:
            raise forms.ValidationError(gettext("0 units change nothing. Enter how many."))
        return units

    def shown(self) -> Shown:
        level, units = self.level(self.cleaned_data["warehouse"]), self.cleaned_data["units"]
        after = level.on_hand + units
        figures = {
            "books": formatting.count(level.on_hand),
            "change": signed(units),
            "after": formatting.count(after),
        }
        if level.is_counted:
            sentence = gettext("The books say %(books)s; %(change)s makes %(after)s on hand.")
        else:
            sentence = gettext(
                "Nothing was counted here before: %(change)s makes %(after)s on hand, and channels may be told so."
            )
        mark = f"{level.sku_id}:{level.warehouse_id}:{units}"
        return Shown(sentence % figures, gettext("Book %(change)s") % figures, mark, _after(level, after))

    def book(self, key: str, actor: User, now: datetime) -> Done:
        data = self.cleaned_data
        movement = counts.adjust(
            sku_id=data["sku"].pk,
            warehouse_id=data["warehouse"].pk,
            quantity=data["units"],
            key=key,
            actor=actor,
            reason=data["reason"],
            kind=self.kind,
            now=now,
        )
        return _booked(self.level(data["warehouse"]), movement is not None, data["units"])


class ReceiptForm(AdjustForm):
    name = "receipt"
    title = _("Book a receipt")
    line = _("Units that came in from a supplier")
    kind = Kind.RECEIPT

    units = units_field(_("units"), least=1)
    reason = forms.CharField(
        label=_("note"),
        max_length=200,
        required=False,
        help_text=_("For example the delivery note."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


class SendForm(BookingForm):
    """A transfer from one warehouse to another."""

    name = "send"
    title = _("Send a transfer")
    line = _("Units leave one warehouse; until they arrive in the other they are offered nowhere.")

    source = warehouse_field(_("from"))
    destination = warehouse_field(_("to"))
    units = units_field(_("units"), least=1)
    note = forms.CharField(
        label=_("note"), max_length=200, required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("source") and data.get("source") == data.get("destination"):
            self.add_error("destination", gettext("Choose another warehouse to send it to."))
        return data

    def shown(self) -> Shown:
        data = self.cleaned_data
        level, units = self.level(data["source"]), data["units"]
        after = level.on_hand - units
        figures = {
            "source": data["source"],
            "destination": data["destination"],
            "books": formatting.count(level.on_hand),
            "units": formatting.count(units),
            "after": formatting.count(after),
        }
        sentence = gettext(
            "%(source)s: %(books)s on hand − %(units)s = %(after)s. On their way to %(destination)s: %(units)s."
        )
        warning = _after(level, after)
        if not level.is_counted:
            warning = gettext("Nothing was ever counted in %(source)s.") % figures
        elif after < 0:
            warning = gettext("That is more than the books say is there.")
        mark = f"{level.sku_id}:{level.warehouse_id}:{data['destination'].pk}:{units}"
        return Shown(sentence % figures, gettext("Send %(units)s") % figures, mark, warning)

    def book(self, key: str, actor: User, now: datetime) -> Done:
        data = self.cleaned_data
        transfer = send_transfer(
            sku_id=data["sku"].pk,
            source_id=data["source"].pk,
            destination_id=data["destination"].pk,
            quantity=data["units"],
            key=key,
            actor=actor,
            note=data["note"],
            now=now,
        )
        text = gettext("%(units)s of %(sku)s are on their way to %(destination)s.") % {
            "units": formatting.units(transfer.quantity),
            "sku": data["sku"],
            "destination": data["destination"],
        }
        return Done(text, url("transfer_change", transfer.pk))


class ReceiveForm(forms.Form):
    """What arrived of a transfer."""

    name = "receive"
    title = _("Receive the transfer")

    units = units_field(_("units arrived"), least=0)

    def __init__(self, *args: Any, request: HttpRequest, transfer: Transfer, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"units": transfer.quantity}, **kwargs})
        capitalise_labels(self)
        self.transfer = transfer
        self.line = str(transfer)

    def clean_units(self) -> int:
        units: int = self.cleaned_data["units"]
        if units > self.transfer.quantity:
            message = gettext("%(units)s units were sent: enter 0 to %(units)s.")
            raise forms.ValidationError(message % {"units": formatting.count(self.transfer.quantity)})
        return units

    def shown(self) -> Shown:
        units: int = self.cleaned_data["units"]
        missing = self.transfer.quantity - units
        figures = {
            "units": formatting.count(units),
            "sent": formatting.count(self.transfer.quantity),
            "destination": self.transfer.destination,
            "missing": formatting.count(missing),
        }
        if missing:
            sentence = gettext("%(units)s of %(sent)s arrived in %(destination)s; missing: %(missing)s.")
        else:
            sentence = gettext("All %(sent)s arrived in %(destination)s.")
        warning = gettext("What is missing is in no warehouse from then on.") if missing else ""
        return Shown(sentence % figures, gettext("Receive %(units)s") % figures, str(units), warning)

    def book(self, key: str, actor: User, now: datetime) -> Done:
        transfer = receive_transfer(
            transfer_id=self.transfer.pk, quantity=self.cleaned_data["units"], actor=actor, now=now
        )
        text = gettext("%(units)s arrived in %(destination)s.") % {
            "units": formatting.units(transfer.received_quantity),
            "destination": transfer.destination,
        }
        return Done(text, url("transfer_change", transfer.pk))


def urls() -> list[URLPattern]:
    return [
        path(f"{form.name}/", admin.site.admin_view(_page_of(form)), name=f"catalog_stock_{form.name}")
        for form in (CountForm, AdjustForm, ReceiptForm)
    ]


def _page_of(form_class: type[BookingForm]) -> Callable[[HttpRequest], HttpResponse]:
    def page(request: HttpRequest) -> HttpResponse:
        return booking_page(
            request,
            lambda **values: form_class(request=request, **values),
            permission=BOOK,
            back=url("stocklevel_changelist"),
            back_label=gettext("Stock levels"),
        )

    return page


def booking_page(
    request: HttpRequest, make_form: Callable[..., Any], *, permission: str, back: str, back_label: str
) -> HttpResponse:
    """Ask for a deed, show what it comes to, and book it once the person agrees to just that."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    user = person(request)
    key = request.POST.get("key", "")[:KEY_LENGTH]
    shown, status = None, None
    if request.method == "POST":
        form = make_form(data=request.POST)
        if form.is_valid():
            shown = form.shown()
            whole_key = f"hand:{user.pk}:{form.name}:{key}"
            mark = request.POST.get("mark", "")
            if key and (mark == shown.mark or (mark and _is_booked(whole_key))):
                answer = _book(request, form, whole_key, user)
                if answer is not None:
                    return answer
                shown = None
            elif mark:
                messages.warning(request, gettext("It has changed since you looked. Look at it again."))
        status = 400 if form.errors else None
    else:
        form = make_form(initial=_initial(request)) if request.GET else make_form()
    context = {
        **admin.site.each_context(request),
        "title": form.title,
        "line": form.line,
        "form": form,
        "form_errors": form.errors,
        "media": form.media,
        "shown": shown,
        "key": key or secrets.token_urlsafe(16),
        "back": back,
        "back_label": back_label,
    }
    return TemplateResponse(request, "admin/catalog/stock/deed.html", context, status=status)


def _is_booked(key: str) -> bool:
    return StockMovement.objects.filter(key__in=[key, f"transfer:{key}:out"]).exists()


def _book(request: HttpRequest, form: Any, key: str, user: User) -> HttpResponse | None:
    """Where to go on once it is booked; None when it was refused, and the form says why."""
    try:
        done: Done = form.book(key, user, timezone.now())
    except StockError as error:
        form.add_error(None, str(error))
        return None
    messages.add_message(request, messages.SUCCESS if done.is_new else messages.INFO, done.text)
    return HttpResponseRedirect(done.url)


def _initial(request: HttpRequest) -> dict[str, str]:
    return {
        name: chosen
        for name in ("sku", "warehouse", "source")
        if (chosen := request.GET.get(name, "")).isdecimal() and len(chosen) < 19
    }
