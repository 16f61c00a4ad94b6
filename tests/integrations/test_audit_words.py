"""What the audit log says of connections, in words."""

import pytest
from django.utils import timezone

from catalog.audit_text import readable_changes
from catalog.services import audit
from integrations import services
from integrations.tokens import FIELD
from tests.factories import ChannelFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"result": ["", "works"]}, [("Result", "—", "the connection works")]),
        ({"result": ["", "session-invalid"]}, [("Result", "—", "access refused")]),
        ({f"{FIELD}revoked_cause": ["", "session-invalid"]}, [("Reason of the refusal", "—", "access refused")]),
        (
            {f"{FIELD}options": [{}, {"shop": "a.myshopify.com", "app_kind": "custom"}]},
            [
                ("Kind of app", "—", "Custom app made in the Shopify admin (access token)"),
                ("Shop", "—", "a.myshopify.com"),
            ],
        ),
        (
            {
                f"{FIELD}options": [
                    {"shop_kind": "taobao", "group_name": "a"},
                    {"shop_kind": "tmall", "group_name": "a"},
                ]
            },
            [("Kind of shop", "Taobao", "Tmall")],
        ),
    ],
)
def test_a_change_of_a_connection_is_told_in_words(changes, told):
    owner = UserFactory(is_superuser=True)
    event = audit(action="connection changed", obj=ChannelFactory(), actor=owner, now=timezone.now(), changes=changes)
    assert list(readable_changes(event, owner)) == told
    if FIELD in next(iter(changes)):
        assert list(readable_changes(event, UserFactory())) == []


def test_what_the_form_changed_is_told_by_its_labels(client):
    owner = UserFactory(is_superuser=True)
    client.force_login(owner)
    channel = ChannelFactory(platform="shopify")
    values = {"app_key": "k", "app_secret": "s", "options": {"shop": "a.myshopify.com"}}
    services.save_credential(channel=channel, values=values, actor=owner, now=timezone.now())
    text = client.get("/catalog/auditevent/").text
    assert "Shop: — → a.myshopify.com" in text
    assert "{" not in text[text.index("result_list") : text.index("</table>")]
