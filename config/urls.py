"""Every address of the site; the admin is the site, so it sits at the root."""

from django.contrib import admin
from django.urls import include, path

from config import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/", include("config.api.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("watch/", include("monitoring.urls")),
    path("plan/", include("monitoring.plan_urls")),
    path("plan/", include("monitoring.plan_pages.urls")),
    path("connect/", include("integrations.urls")),
    path("", admin.site.urls),
]

handler400 = "config.api.problems.bad_request"
handler500 = "config.api.problems.server_error"
