"""The admin site."""

from django.contrib.admin import AdminSite


class EvenshelfAdminSite(AdminSite):
    site_header = site_title = "Evenshelf"
