"""What a bundle consists of, as a part of its SKU's form."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import BundleComponent, Sku, StockLevel, Transfer
from catalog.services import audit
from catalog.stock.ledger import lock_skus, raise_versions
from config.model_admin import person


class ComponentFormSet(BaseInlineFormSet):
    def clean(self) -> None:
        """What concerns the bundle as a whole; a SKU that is added just now has no stock and is in no bundle."""
        super().clean()
        kept = [form for form in self.forms if form not in self.deleted_forms and form.has_changed()]
        components = sorted(form.cleaned_data["component"].pk for form in kept if form.cleaned_data.get("component"))
        # As whoever books: two people cannot make a bundle of a bundle together, nor stock and a bundle of one SKU.
        lock_skus(components)
        if BundleComponent.objects.filter(bundle__in=components).exists():
            raise ValidationError(gettext("A component has become a bundle just now. Choose the SKUs it consists of."))
        if not kept or not self.instance.pk:
            return
        lock_skus([self.instance.pk])
        if BundleComponent.objects.filter(component=self.instance).exists():
            raise ValidationError(gettext("This SKU is a component of a bundle, so it cannot be a bundle itself."))
        if StockLevel.objects.filter(sku=self.instance).exclude(on_hand=0, reserved=0).exists():
            raise ValidationError(gettext("This SKU has stock of its own. Count it to 0 before it becomes a bundle."))
        if Transfer.objects.filter(sku=self.instance, received_at__isnull=True).exists():
            raise ValidationError(gettext("This SKU is on its way between warehouses. Receive the transfer first."))


class BundleInline(admin.StackedInline):
    model = BundleComponent
    fk_name = "bundle"
    formset = ComponentFormSet
    fields = ["component", "units"]
    autocomplete_fields = ["component"]
    extra = 0
    verbose_name_plural = _("Bundle: what one unit consists of")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BundleComponent]:
        return super().get_queryset(request).select_related("component__product", "bundle")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Beside a choice stands only "add", as on every form."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_change_related = field.widget.can_delete_related = field.widget.can_view_related = False
        return field

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        return Sku.objects.visible_to(person(request)).select_related("product")


def save_components(request: HttpRequest, formset: BaseInlineFormSet, sku: Sku) -> None:
    """Save the parts of a bundle, tell who changed them, and that something else can be sold of it now."""
    before = _text(sku)
    formset.save()
    after = _text(sku)
    if before != after:
        raise_versions([sku.pk])
        audit(
            action="changed",
            obj=sku,
            actor=person(request),
            now=timezone.now(),
            changes={"components": [before, after]},
        )


def _text(sku: Sku) -> str:
    parts = (
        BundleComponent.objects.filter(bundle=sku).order_by("component__code").values_list("units", "component__code")
    )
    return ", ".join(f"{units} × {code}" for units, code in parts)
