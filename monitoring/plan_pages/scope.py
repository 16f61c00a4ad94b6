"""Which plans a page is about: those that the person sees, narrowed by the filters of the address."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Supplier, User, Warehouse
from monitoring.models import SkuPlan

NO_CLASS = "-"
PAGE_SIZE = 50


class PlanFilters(forms.Form):
    """Filters that do not exist leave nothing: a page that is wider than was meant misleads."""

    warehouse = forms.ModelChoiceField(
        Warehouse.objects.all(), required=False, label=_("Warehouse"), empty_label=_("All warehouses")
    )
    brand = forms.ChoiceField(required=False, label=_("Brand"))
    supplier = forms.ModelChoiceField(
        Supplier.objects.all(), required=False, label=_("Supplier"), empty_label=_("All suppliers")
    )
    abc = forms.ChoiceField(
        required=False,
        label=_("Class"),
        choices=[("", _("All classes")), *((each, each) for each in "ABC"), (NO_CLASS, _("without a class"))],
    )

    def __init__(self, data: Mapping[str, Any], user: User) -> None:
        super().__init__(data)
        products = Product.objects.visible_to(user).exclude(brand="")
        brands = products.order_by("brand").values_list("brand", flat=True).distinct()
        brand: Any = self.fields["brand"]
        brand.choices = lambda: [("", _("All brands")), *((each, each) for each in brands)]


class PlanScope:
    """The plans of one page, and how its links keep to them."""

    def __init__(self, user: User, data: Mapping[str, Any]) -> None:
        self.user = user
        self.data = data
        self.form = PlanFilters(data, user)

    @cached_property
    def given(self) -> dict[str, Any]:
        return {name: value for name, value in self.form.cleaned_data.items() if value} if self.form.is_valid() else {}

    @property
    def is_narrowed(self) -> bool:
        return any(self.data.get(name) for name in self.form.fields)

    @cached_property
    def plans(self) -> QuerySet[SkuPlan]:
        plans: QuerySet[SkuPlan] = SkuPlan.objects.visible_to(self.user)
        if not self.form.is_valid():
            return plans.none()
        given = self.given
        if "warehouse" in given:
            plans = plans.filter(warehouse=given["warehouse"])
        if "brand" in given:
            plans = plans.filter(sku__product__brand=given["brand"])
        if "supplier" in given:
            plans = plans.filter(supplier=given["supplier"])
        if "abc" in given:
            plans = plans.filter(class_is("abc", given["abc"]))
        return plans

    @cached_property
    def warehouses(self) -> list[Warehouse]:
        """Those that a page has a column for: active ones, or the one that is asked for."""
        chosen = self.given.get("warehouse")
        return [chosen] if chosen else list(Warehouse.objects.filter(is_active=True))

    def query(self, **changes: Any) -> str:
        """The filters as part of an address, with these parameters besides."""
        kept = {name: self.data.get(name, "") for name in self.form.fields} | changes
        return urlencode({name: value for name, value in kept.items() if value not in ("", None)})


def class_is(field: str, name: str) -> Q:
    return Q(**{field: "" if name == NO_CLASS else name})


def page_of(rows: Any, data: Mapping[str, Any]) -> Page[Any]:
    """The asked-for page, the nearest one where there is none."""
    return Paginator(rows, PAGE_SIZE).get_page(data.get("page"))
