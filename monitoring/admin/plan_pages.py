"""The pages of plans in the menu, behind the board."""

from django.utils.translation import gettext_lazy as _

from config.admin_site import add_menu_item

_VIEW = "monitoring.view_skuplan"

add_menu_item("plan", _("Days of cover"), "planning:heat", permission=_VIEW, order=20)
add_menu_item("plan", _("Classes of stock"), "planning:classes", permission=_VIEW, order=22)
add_menu_item("plan", _("Health of the stock"), "planning:health", permission=_VIEW, order=24)
add_menu_item("plan", _("Price swings"), "planning:prices", permission="monitoring.view_observation", order=26)
