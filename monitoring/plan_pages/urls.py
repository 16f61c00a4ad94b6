"""Pages about the plans as a whole, under /plan/ beside the board."""

from django.urls import path

from monitoring.plan_pages import views, what_if

app_name = "planning"
urlpatterns = [
    path("heat/", views.HeatPage.as_view(), name="heat"),
    path("heat/cover.csv", views.HeatCsv.as_view(), name="heat-csv"),
    path("classes/", views.ClassesPage.as_view(), name="classes"),
    path("classes/list/", views.PlansPage.as_view(), name="list"),
    path("classes/plans.csv", views.PlansCsv.as_view(), name="list-csv"),
    path("health/", views.HealthPage.as_view(), name="health"),
    path("health/health.csv", views.HealthCsv.as_view(), name="health-csv"),
    path("what-if/", what_if.WhatIfPage.as_view(), name="what-if"),
    path("what-if/what-if.csv", what_if.WhatIfCsv.as_view(), name="what-if-csv"),
    path("prices/", views.PricesPage.as_view(), name="prices"),
    path("prices/swings.csv", views.PricesCsv.as_view(), name="prices-csv"),
]
