"""What to order and to move, under /plan/."""

from django.urls import path

from monitoring import plan_views as views

app_name = "plan"
urlpatterns = [
    path("", views.BoardPage.as_view(), name="board"),
    path("advice.csv", views.BoardCsv.as_view(), name="board-csv"),
    path("run/", views.RunView.as_view(), name="run"),
    path("advice/<int:advice_id>/accept/", views.AcceptView.as_view(), name="accept"),
    path("advice/<int:advice_id>/change/", views.ChangeView.as_view(), name="change"),
    path("advice/<int:advice_id>/reject/", views.RejectView.as_view(), name="reject"),
    path("advice/<int:advice_id>/snooze/", views.SnoozeView.as_view(), name="snooze"),
    path("advice/<int:advice_id>/wake/", views.WakeView.as_view(), name="wake"),
    path("skus/<int:sku_id>/", views.SkuPlanPage.as_view(), name="sku"),
    path("skus/<int:sku_id>/days.csv", views.SkuCsv.as_view(), name="sku-csv"),
    path("skus/<int:sku_id>/forecast/", views.OverrideView.as_view(), name="override"),
    path("skus/<int:sku_id>/forecast/<int:override_id>/end/", views.OverrideEndView.as_view(), name="override-end"),
]
