"""What is asked before stock sync of a channel does something."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Product
from integrations.syncing.models import ChannelSync, SavedFilter
from integrations.syncing.scope import Scope

_BRANDS = _PRODUCTS = 500  # in a list to choose from


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=200, widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"})
    )

    def __init__(self, *args: Any, help_text: Any = "", **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.fields["reason"].help_text = help_text

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"].replace("\0", "").strip()
        if not reason:
            raise forms.ValidationError(gettext("Give a reason. It is shown to everybody who works with the channel."))
        return reason


class LimitForm(forms.ModelForm):
    class Meta:
        model = ChannelSync
        fields = ["most_zeroed_percent"]
        error_messages = {
            "most_zeroed_percent": dict.fromkeys(
                ("invalid", "min_value", "max_value", "required"), _("Enter 1 to 100 percent.")
            )
        }


class ScopeForm(forms.Form):
    """A part of a channel's listings; what is left empty narrows nothing."""

    brand = forms.ChoiceField(label=_("Brand"), required=False)
    product = forms.ModelChoiceField(Product.objects.none(), label=_("Product"), required=False)
    filter = forms.ModelChoiceField(
        SavedFilter.objects.none(),
        label=_("Saved filter"),
        required=False,
        help_text=_("Narrow the list of listings and save its filters there."),
    )

    def __init__(self, *args: Any, channel: Channel, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        mapped = Product.objects.filter(skus__listings__channel=channel, skus__listings__removed_at__isnull=True)
        brands = mapped.exclude(brand="").order_by("brand").values_list("brand", flat=True).distinct()[:_BRANDS]
        choice: Any = self.fields["brand"]
        choice.choices = [("", gettext("all")), *((brand, brand) for brand in brands)]
        products: Any = self.fields["product"]
        shown = mapped.order_by("name").values_list("pk", flat=True).distinct()[:_PRODUCTS]
        products.queryset = Product.objects.filter(pk__in=list(shown)).order_by("name")
        saved: Any = self.fields["filter"]
        saved.queryset = SavedFilter.objects.filter(owner=user)
        products.empty_label = saved.empty_label = gettext("all")

    def scope(self) -> Scope:
        data = self.cleaned_data
        product, saved = data["product"], data["filter"]
        return Scope(brand=data["brand"], product=product.pk if product else None, filter=saved.pk if saved else None)


class FilterForm(forms.ModelForm):
    class Meta:
        model = SavedFilter
        fields = ["name"]
