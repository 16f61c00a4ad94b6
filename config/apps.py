"""The admin with our own site, the roles that exist after every migrate, and which static files are ours to serve."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.db.models.signals import post_migrate


class EvenshelfAdminConfig(AdminConfig):
    default_site = "config.admin_site.EvenshelfAdminSite"


class StaticConfig(StaticFilesConfig):
    # The second viewer of the API's description, which no page of ours uses: megabytes to pack at every installation.
    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "drf_spectacular_sidecar/redoc/*"]


class FrameConfig(AppConfig):
    name = "config"
    verbose_name = "Evenshelf"

    def ready(self) -> None:
        from config.roles import create_roles  # models are loaded only now

        post_migrate.connect(create_roles, dispatch_uid="config.create_roles")
