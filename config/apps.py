"""The admin with our own site, and the roles that exist after every migrate."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class EvenshelfAdminConfig(AdminConfig):
    default_site = "config.admin_site.EvenshelfAdminSite"


class FrameConfig(AppConfig):
    name = "config"
    verbose_name = "Evenshelf"

    def ready(self) -> None:
        from config.roles import create_roles  # models are loaded only now

        post_migrate.connect(create_roles, dispatch_uid="config.create_roles")
