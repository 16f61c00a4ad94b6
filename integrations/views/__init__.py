"""What staff do to connections: authorise, edit the credential, add the shop's listings, fetch now, pause."""

from integrations.views.authorising import authorise, callback
from integrations.views.checking import can_test, check_connection
from integrations.views.credentials import disconnect, disconnect_page, edit_credential
from integrations.views.keys import can_request_keys, keys_returned, receive_keys, request_keys
from integrations.views.pages import CONNECT, CREDENTIAL, DISCOVER, FETCH, View, channel_page, listing_page, staff_page
from integrations.views.reading import (
    discover,
    edit_interval,
    fetch_channel,
    fetch_listing,
    pause_listing,
    read_sales,
    resume_listing,
    tell_fetched,
    tell_paused,
)

__all__ = [
    "CONNECT",
    "CREDENTIAL",
    "DISCOVER",
    "FETCH",
    "View",
    "authorise",
    "callback",
    "can_request_keys",
    "can_test",
    "channel_page",
    "check_connection",
    "disconnect",
    "disconnect_page",
    "discover",
    "edit_credential",
    "edit_interval",
    "fetch_channel",
    "fetch_listing",
    "keys_returned",
    "listing_page",
    "pause_listing",
    "read_sales",
    "receive_keys",
    "request_keys",
    "resume_listing",
    "staff_page",
    "tell_fetched",
    "tell_paused",
]
