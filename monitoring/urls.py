"""Charts, files and pages of the watch, under /watch/."""

from django.contrib import admin
from django.urls import path, re_path

from monitoring import views
from monitoring.admin import mapping_check, price_runs, sales_history

app_name = "watch"
urlpatterns = [
    path("listings/<int:listing_id>/chart.json", views.ListingChartView.as_view(), name="listing-chart"),
    path("listings/<int:listing_id>/chart.csv", views.ListingChartCsv.as_view(), name="listing-chart-csv"),
    path("listings/<int:listing_id>/history/", views.HistoryPage.as_view(), name="listing-history"),
    path("listings/<int:listing_id>/history.csv", views.HistoryCsv.as_view(), name="listing-history-csv"),
    path("listings/<int:listing_id>/price/", views.PricePage.as_view(), name="listing-price"),
    path("listings/<int:listing_id>/prices.json", views.CalendarChartView.as_view(), name="listing-prices"),
    path("listings/<int:listing_id>/prices.csv", views.CalendarCsv.as_view(), name="listing-prices-csv"),
    path("products/<int:product_id>/compare/", views.ComparisonPage.as_view(), name="compare"),
    path("products/<int:product_id>/compare/chart.json", views.ComparisonChartView.as_view(), name="compare-chart"),
    path("products/<int:product_id>/compare/chart.csv", views.ComparisonCsv.as_view(), name="compare-csv"),
    path(
        "prices/<slug:what>/<int:pk>/recompute/",
        admin.site.admin_view(price_runs.recompute_view),
        name="recompute-prices",
    ),
    path("mapping/", admin.site.admin_view(mapping_check.check_page), name="mapping-check"),
    path("mapping/fix/", admin.site.admin_view(mapping_check.fix), name="mapping-fix"),
    path("mapping/undo/", admin.site.admin_view(mapping_check.undo), name="mapping-undo"),
    path("mapping/dismiss/", admin.site.admin_view(mapping_check.dismiss), name="mapping-dismiss"),
    path("mapping/take-back/", admin.site.admin_view(mapping_check.take_back), name="mapping-take-back"),
    path("sales-history/", admin.site.admin_view(sales_history.history_page), name="sales-history"),
    path("sales-history/template/", admin.site.admin_view(sales_history.template), name="sales-history-template"),
    path("sales-history/apply/", admin.site.admin_view(sales_history.apply), name="sales-history-apply"),
    path("sales-history/<int:pk>/remove/", admin.site.admin_view(sales_history.remove), name="sales-history-remove"),
    re_path(r"^moves/(?P<what>price|stock)\.csv$", views.MovesCsv.as_view(), name="moves-csv"),
]
