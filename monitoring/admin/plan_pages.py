"""The pages of plans in the menu, behind the board."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from catalog.models import Sku
from config.admin_site import add_button, add_menu_item
from monitoring.models import SkuPlan

_VIEW = "monitoring.view_skuplan"


def _plan_url(request: HttpRequest, sku: Sku) -> str | None:
    may_view = request.user.has_perms((_VIEW, "monitoring.view_advice"))
    is_planned = may_view and SkuPlan.objects.filter(sku=sku).exists()
    return reverse("plan:sku", args=[sku.pk]) if is_planned else None


add_menu_item("plan", _("Days of cover"), "planning:heat", permission=_VIEW, order=20)
add_menu_item("plan", _("Classes of stock"), "planning:classes", permission=_VIEW, order=22)
add_menu_item("plan", _("Health of the stock"), "planning:health", permission=_VIEW, order=24)
add_menu_item("plan", _("What if"), "planning:what-if", permission=_VIEW, order=25)
add_menu_item("plan", _("Price swings"), "planning:prices", permission="monitoring.view_observation", order=26)
add_button("sku", _("Plan"), _plan_url, method="get", order=10)
