from django.urls import path

from integrations import views

app_name = "integrations"

urlpatterns = [
    path("callback/", views.callback, name="callback"),
    path("channels/<int:channel_id>/authorise/", views.authorise, name="authorise"),
    path("channels/<int:channel_id>/credential/", views.edit_credential, name="credential"),
    path("channels/<int:channel_id>/disconnect/", views.disconnect, name="disconnect"),
    path("channels/<int:channel_id>/keys/", views.request_keys, name="request_keys"),
    path("channels/<int:channel_id>/keys/received/", views.receive_keys, name="receive_keys"),
    path("channels/<int:channel_id>/keys/returned/", views.keys_returned, name="keys_returned"),
    path("channels/<int:channel_id>/test/", views.check_connection, name="check_connection"),
    path("channels/<int:channel_id>/fetch/", views.fetch_channel, name="fetch_channel"),
    path("channels/<int:channel_id>/discover/", views.discover, name="discover"),
    path("channels/<int:channel_id>/sales/", views.read_sales, name="read_sales"),
    path("listings/<int:listing_id>/fetch/", views.fetch_listing, name="fetch_listing"),
    path("listings/<int:listing_id>/pause/", views.pause_listing, name="pause_listing"),
    path("listings/<int:listing_id>/resume/", views.resume_listing, name="resume_listing"),
    path("listings/<int:listing_id>/interval/", views.edit_interval, name="interval"),
]
