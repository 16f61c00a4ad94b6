"""Forms for how much a channel, or one listing of it, may show, and from which warehouses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_noop, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.deeds import capitalise_labels
from catalog.admin.stock.panels import LOCATIONS, RULE, rule_text
from catalog.admin.stock.scope import url
from catalog.models import Channel, ChannelLocation, Listing, StockRule, Warehouse
from catalog.models.stock import MOST_UNITS
from catalog.services import audit, tell_channels_changed, tell_listings_changed
from catalog.stock.explaining import explain
from catalog.stock.targets import stock_targets
from config import formatting
from config.admin_site import add_column
from config.form_changes import form_changes
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

_FIGURES = ("buffer", "share_percent", "cap", "stop_at")
_MOST_POSITION = 9_999


class RuleForm(forms.ModelForm):
    class Meta:
        model = StockRule
        fields = ["buffer", "share_percent", "cap", "stop_at", "is_paused"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_listing = self.instance.listing_id is not None
        for name in _FIGURES:
            field = self.fields[name]
            field.widget.attrs |= {"inputmode": "numeric", "min": None, "max": None}
            sentence = _SHARE if name == "share_percent" else _UNITS % {"most": formatting.count(MOST_UNITS)}
            field.error_messages |= dict.fromkeys(("invalid", "min_value", "max_value"), sentence)
            if is_listing:
                field.widget.attrs["placeholder"] = gettext("as the channel")
        empty = gettext("as the channel") if is_listing else gettext("no")
        choices = [("", empty), ("true", gettext("yes"))]
        paused: Any = self.fields["is_paused"]
        paused.widget = forms.Select(choices=[*choices, ("false", gettext("no"))] if is_listing else choices)

    def says_nothing(self) -> bool:
        return all(self.cleaned_data[name] is None for name in self._meta.fields or ())


_SHARE = _("The share is 0 to 100 percent.")
_UNITS = _("Enter 0 to %(most)s units.")
_NO_LOCATIONS = _("Shops of this platform have no locations. Leave this empty.")


@dataclass(frozen=True)
class Locations:
    """The locations of a shop, as (id, name); with a problem they are not known, and an id is typed."""

    choices: Sequence[tuple[str, str]]
    problem: str = ""


# What an app that reads shops knows of a channel's locations; None: its platform has no more than one.
location_readers: list[Callable[[Channel], Locations | None]] = []


class LocationsForm(forms.Form):
    """Which warehouses feed the channel: a row for each, and how several behind one location count."""

    location_mode = forms.ChoiceField(label=Channel._meta.get_field("location_mode").verbose_name)

    def __init__(self, *args: Any, channel: Channel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel = channel
        self.warehouses = list(Warehouse.objects.all())
        stored = {each.warehouse_id: each for each in ChannelLocation.objects.filter(channel=channel)}
        mode: Any = self.fields["location_mode"]
        mode.choices = Channel._meta.get_field("location_mode").choices
        mode.initial = channel.location_mode
        self.locations = next((found for read in location_readers if (found := read(channel)) is not None), None)
        for warehouse in self.warehouses:
            row = stored.get(warehouse.pk)
            self.fields[f"used_{warehouse.pk}"] = forms.BooleanField(
                label=str(warehouse), required=False, initial=row is not None
            )
            self.fields[f"location_{warehouse.pk}"] = self._location_field(row.location_id if row else "")
            self.fields[f"position_{warehouse.pk}"] = forms.IntegerField(
                label=pgettext_lazy("place in a sequence", "order"),
                required=False,
                initial=row.position if row else warehouse.position,
                min_value=0,
                max_value=_MOST_POSITION,
                error_messages=dict.fromkeys(
                    ("invalid", "min_value", "max_value"), _("Enter a whole number from 0 to 9999.")
                ),
            )

        capitalise_labels(self)

    def _location_field(self, stored: str) -> forms.Field:
        """A choice of what the shop has, with what is stored though the shop does not tell it; else an id is typed."""
        field = ChannelLocation._meta.get_field("location_id")
        common: dict[str, Any] = {"label": field.verbose_name, "required": False, "initial": stored}
        if self.locations is None or self.locations.problem:
            help_text = _NO_LOCATIONS if self.locations is None else field.help_text
            return forms.CharField(help_text=help_text, max_length=128, **common)
        choices = [("", gettext("the shop’s only one")), *self.locations.choices]
        if stored not in dict(choices):
            choices.append((stored, gettext("%(id)s (the shop does not have it)") % {"id": stored}))
        return forms.ChoiceField(choices=choices, **common)

    def clean(self) -> dict[str, Any]:
        if self.locations is None:
            for name in [f"location_{each.pk}" for each in self.warehouses]:
                if self.cleaned_data.get(name):
                    self.add_error(name, _NO_LOCATIONS)
        return self.cleaned_data

    def rows(self) -> list[tuple[Any, ...]]:
        """Each warehouse with its fields: whether it feeds the channel, the location, the place in the sequence."""
        names = ("used", "location", "position")
        return [(each, *(self[f"{name}_{each.pk}"] for name in names)) for each in self.warehouses]

    def chosen(self) -> list[ChannelLocation]:
        data = self.cleaned_data
        return [
            ChannelLocation(
                channel=self.channel,
                warehouse=each,
                location_id=data[f"location_{each.pk}"],
                position=each.position if data[f"position_{each.pk}"] is None else data[f"position_{each.pk}"],
            )
            for each in self.warehouses
            if data[f"used_{each.pk}"]
        ]


@admin.register(StockRule)
class StockRuleAdmin(ReadOnly, FrameModelAdmin):
    """The list of all rules; each is changed on a page of its own, behind the page of its channel or listing."""

    list_display = ()
    list_select_related = ["channel", "listing__channel"]
    list_line = _("What channels and listings hold back of what is available")
    search_fields = ["channel__name", "listing__title", "listing__platform_item_id", "listing__sku__code"]
    search_help_text = _("Channel, listing, SKU or platform id")
    empty_text = _("Without a rule every channel shows all that is available. A rule is set on the page of a channel.")
    ordering = ["-updated_at"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("channel/<int:pk>/", view(self.channel_view), name="catalog_stock_channel_rule"),
            path("listing/<int:pk>/", view(self.listing_view), name="catalog_stock_listing_rule"),
            path("warehouses/<int:pk>/", view(self.locations_view), name="catalog_stock_channel_locations"),
        ]
        return own + super().get_urls()

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        rule = get_object_or_404(self.get_queryset(request), pk=object_id if object_id.isdecimal() else 0)
        name, pk = ("listing", rule.listing_id) if rule.listing_id else ("channel", rule.channel_id)
        if not request.user.has_perms(RULE):
            return HttpResponseRedirect(url(f"{name}_change", pk))
        return HttpResponseRedirect(url(f"stock_{name}_rule", pk))

    def channel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        _allowed(request, RULE)
        channel = get_object_or_404(Channel.objects.visible_to(person(request)), pk=pk)
        rule = StockRule.objects.filter(channel=channel).first() or StockRule(channel=channel)
        return self._rule_page(request, rule, channel, gettext("What the channel may show"), url("channel_change", pk))

    def listing_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        _allowed(request, RULE)
        listings = Listing.objects.visible_to(person(request)).current().filter(ownership=Listing.Ownership.OWN)
        listing = get_object_or_404(listings.select_related("channel"), pk=pk)
        rule = StockRule.objects.filter(listing=listing).first() or StockRule(listing=listing)
        return self._rule_page(request, rule, listing, gettext("What the listing may show"), url("listing_change", pk))

    def _rule_page(
        self, request: HttpRequest, rule: StockRule, owner: Channel | Listing, title: str, back: str
    ) -> HttpResponse:
        form = RuleForm(request.POST or None, instance=rule)
        if request.method == "POST" and form.is_valid():
            try:
                _save_rule(request, form)
            except IntegrityError:
                # Somebody else set the first rule while this form was open.
                text = gettext("Somebody saved the same just now. Nothing was changed; look again.")
                self.message_user(request, text, messages.ERROR)
                return HttpResponseRedirect(request.path)
            self.message_user(request, gettext("Saved the rule of “%(name)s”.") % {"name": owner}, messages.SUCCESS)
            return HttpResponseRedirect(back)
        targets = stock_targets(listing_ids=[owner.pk]) if isinstance(owner, Listing) else []
        context = {
            "title": title,
            "line": gettext(
                "First sold out at, then buffer, share and show at most. An empty field holds nothing back."
            ),
            "form": form,
            "back": back,
            "back_label": str(owner),
            "now_shown": [explain(each.target) for each in targets],
        }
        if isinstance(owner, Listing):
            general = rule_text(StockRule.objects.filter(channel=owner.channel_id).first())
            context["line"] = gettext("An empty field is as the channel says: %(rule)s.") % {
                "rule": general or gettext("nothing is held back")
            }
        return self._page(request, "rule.html", context)

    def locations_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        _allowed(request, LOCATIONS)
        channel = get_object_or_404(Channel.objects.visible_to(person(request)), pk=pk)
        form = LocationsForm(request.POST or None, channel=channel)
        back = url("channel_change", pk)
        if request.method == "POST" and form.is_valid():
            _save_locations(request, channel, form)
            text = gettext("Saved the warehouses of “%(name)s”.") % {"name": channel}
            self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(back)
        return self._page(
            request,
            "locations.html",
            {
                "title": gettext("Warehouses of the channel"),
                "line": gettext(
                    "Without any ticked, all active warehouses count together for the shop’s only location."
                ),
                "form": form,
                "back": back,
                "back_label": str(channel),
            },
        )

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        form = context["form"]
        return TemplateResponse(
            request,
            f"admin/catalog/stock/{template}",
            {**self.admin_site.each_context(request), "form_errors": form.errors, **context},
            status=400 if form.errors else None,
        )


def _allowed(request: HttpRequest, permissions: tuple[str, ...]) -> None:
    if not request.user.has_perms(permissions):
        raise PermissionDenied


def _save_rule(request: HttpRequest, form: RuleForm) -> None:
    """Store the rule, or take it away when nothing is left in it; whoever sends stock is told."""
    rule = form.instance
    changes = form_changes(form)  # type: ignore[arg-type]  # a form of a model is a form
    if not changes:
        return
    with transaction.atomic():
        action = "changed" if rule.pk else "added"
        if form.says_nothing():
            action = "deleted"
        else:
            form.save()
        audit(action=action, obj=rule, actor=person(request), now=timezone.now(), changes=changes)
        if action == "deleted" and rule.pk:
            rule.delete()
        if rule.channel_id:
            tell_channels_changed([rule.channel_id])
        elif rule.listing_id:
            tell_listings_changed([rule.listing_id])


def _save_locations(request: HttpRequest, channel: Channel, form: LocationsForm) -> None:
    with transaction.atomic():
        Channel.objects.select_for_update().get(pk=channel.pk)
        before, mode = _locations_text(channel), channel.location_mode
        ChannelLocation.objects.filter(channel=channel).delete()
        ChannelLocation.objects.bulk_create(form.chosen())
        channel.location_mode = form.cleaned_data["location_mode"]
        channel.save(update_fields=["location_mode", "updated_at"])
        after = _locations_text(channel)
        changes = {
            name: pair
            for name, pair in {
                "location_mode": [mode, channel.location_mode],
                gettext_noop("warehouses of the channel"): [before, after],
            }.items()
            if pair[0] != pair[1]
        }
        if changes:
            audit(action="changed", obj=channel, actor=person(request), now=timezone.now(), changes=changes)
            tell_channels_changed([channel.pk])


def _locations_text(channel: Channel) -> str:
    rows = ChannelLocation.objects.filter(channel=channel).select_related("warehouse").order_by("position", "pk")
    return ", ".join(f"{row.position}. {row}" for row in rows)


def owner_cell(rule: StockRule) -> Any:
    if rule.listing is not None:
        return format_html("<strong>{}</strong><small>{}</small>", rule.listing, rule.listing.channel)
    return format_html("<strong>{}</strong><small>{}</small>", rule.channel, _("the whole channel"))


@admin.display(ordering="updated_at")
def changed_cell(rule: StockRule) -> Any:
    return parts.time_ago(rule.updated_at)


_CHANGED = pgettext_lazy("time of the last change", "changed")
add_column(StockRule, "owner", _("channel or listing"), owner_cell, order=10)
add_column(StockRule, "rule", _("rule"), rule_text, order=20)
add_column(StockRule, "changed", _CHANGED, changed_cell, order=30, classes="time")
