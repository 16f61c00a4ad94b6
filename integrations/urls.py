from django.urls import path

from integrations import views
from integrations.syncing import status_page
from integrations.syncing.control import pages as sync

app_name = "integrations"

urlpatterns = [
    path("status/", status_page.page, name="sync_status"),
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
    path("channels/<int:channel_id>/sync/on/", sync.switch_on, name="sync_on"),
    path("channels/<int:channel_id>/sync/off/", sync.switch_off, name="sync_off"),
    path("channels/<int:channel_id>/sync/pause/", sync.pause, name="sync_pause"),
    path("channels/<int:channel_id>/sync/resume/", sync.resume, name="sync_resume"),
    path("channels/<int:channel_id>/sync/limit/", sync.limit, name="sync_limit"),
    path("channels/<int:channel_id>/sync/run/", sync.run_whole, name="sync_run"),
    path("channels/<int:channel_id>/sync/part/", sync.run_part, name="sync_part"),
    path("channels/<int:channel_id>/sync/leave/", sync.leave, name="sync_leave"),
    path("dry-runs/<int:run_id>/", sync.dry_run, name="dry_run"),
    path("dry-runs/<int:run_id>/apply/", sync.apply, name="apply_dry_run"),
    path("dry-runs/<int:run_id>/again/", sync.again, name="dry_run_again"),
    path("filters/save/", sync.save_filter, name="save_filter"),
    path("filters/<int:filter_id>/delete/", sync.delete_filter, name="delete_filter"),
    path("listings/<int:listing_id>/fetch/", views.fetch_listing, name="fetch_listing"),
    path("listings/<int:listing_id>/pause/", views.pause_listing, name="pause_listing"),
    path("listings/<int:listing_id>/resume/", views.resume_listing, name="resume_listing"),
    path("listings/<int:listing_id>/interval/", views.edit_interval, name="interval"),
]
