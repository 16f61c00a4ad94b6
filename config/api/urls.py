"""Addresses of the API."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from catalog.api import ChannelResource, ProductResource, PromotionResource, SkuResource
from catalog.purchase_api import PurchaseOrderResource
from config.api.problems import unknown_address
from config.api.root import Root
from integrations.syncing.api import SyncStatusResource
from monitoring.api import AlertResource, ThresholdResource
from monitoring.plan_api import AdviceResource, HealthResource, PlanResource
from monitoring.price_api import PricedListingResource, PriceQuoteResource

router = SimpleRouter()
router.register("products", ProductResource)
router.register("skus", SkuResource)
router.register("channels", ChannelResource)
router.register("listings", PricedListingResource)
router.register("thresholds", ThresholdResource)
router.register("alerts", AlertResource)
router.register("promotions", PromotionResource)
router.register("quotes", PriceQuoteResource)
router.register("plans", PlanResource)
router.register("advice", AdviceResource)
router.register("health", HealthResource, basename="health")
router.register("purchase-orders", PurchaseOrderResource)
router.register("sync-status", SyncStatusResource, basename="sync-status")

docs = SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="api/docs.html")

urlpatterns = [
    path("v1/", Root.as_view(resources=router.registry)),
    path("v1/", include(router.urls)),
    path("v1/schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("v1/docs/", admin.site.admin_view(docs), name="api-docs"),
    re_path("", unknown_address),
]
