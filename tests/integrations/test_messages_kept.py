"""A platform that keeps news for us, once asked, is asked when a shop is authorised, and once."""

import logging
from urllib.parse import urlsplit

import pytest
import requests
from django.utils import timezone

from integrations import services
from integrations.connections import connector_for
from integrations.models import Credential
from tests.factories import CredentialFactory, UserFactory
from tests.integrations.shops import woocommerce_channel

pytestmark = pytest.mark.django_db

PERMIT = "taobao.tmc.user.permit"


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def channel(simulator):
    account = simulator.taobao.account
    keys = {"app_key": account["app_key"], "app_secret": account["app_secret"]}
    return CredentialFactory(access_token="", base_url=simulator.base_url, channel__name="店", **keys).channel


@pytest.fixture
def authorised(simulator, channel):
    Credential.objects.update(access_token=simulator.taobao.shop()["session"])
    channel.refresh_from_db()
    return channel


def authorise(client, channel):
    """Through our page, the platform, and back; returns what the channel's page then says on top."""
    url = client.get(f"/connect/channels/{channel.pk}/authorise/").context["url"]
    back = urlsplit(requests.get(url, allow_redirects=False, timeout=10).headers["Location"])
    answer = client.get(f"{back.path}?{back.query}", follow=True)
    return [str(message) for message in answer.context["messages"]]


def since():
    return Credential.objects.get().messages_since


def test_an_authorised_shop_s_news_arrive(simulator, channel, client, owner):
    [said] = authorise(client, channel)
    assert "is authorised until" in said
    assert since() is not None
    shop = next(
        shop for shop in simulator.taobao.account["shops"] if shop["nick"] == Credential.objects.get().account_name
    )
    row = simulator.taobao.items(shop=shop["shop"])[0]
    simulator.taobao.set_item(row["num_iid"], price="99.00")
    connector = connector_for(Credential.objects.get().channel)
    hints = connector.pull_messages(now=timezone.now())
    assert [hint.item_id for hint in hints] == [str(row["num_iid"])]
    assert "kept for us since" in client.get(f"/catalog/channel/{channel.pk}/change/").text


def test_it_is_asked_for_once_and_again_after_another_consent(simulator, channel, client, owner):
    authorise(client, channel)
    for _again in range(2):
        assert services.permit_messages(channel=channel, now=timezone.now())
        services.check_connection(channel=channel, actor=owner, now=timezone.now())
    assert len(simulator.ledger(method=PERMIT)) == 1
    authorise(client, channel)
    assert len(simulator.ledger(method=PERMIT)) == 2


def test_a_token_that_was_dropped_takes_the_permission_along(simulator, channel, client, owner):
    authorise(client, channel)
    other = simulator.taobao.account["apps"][1]
    values = {"app_key": other["app_key"], "app_secret": other["app_secret"]}
    services.save_credential(channel=channel, values=values, actor=owner, now=timezone.now())
    assert since() is None


def test_one_that_was_authorised_before_is_made_up_for_by_a_test(simulator, authorised, client, owner):
    assert "not kept for us yet" in client.get(f"/catalog/channel/{authorised.pk}/change/").text
    answer = client.post(f"/connect/channels/{authorised.pk}/test/", follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["success"]
    assert since() is not None


def test_a_refusal_spoils_neither_the_consent_nor_the_test_and_is_told(simulator, channel, client, owner, caplog):
    caplog.set_level(logging.WARNING)
    simulator.taobao.fail_next(method=PERMIT, times=0, code=11, sub_code="isv.permission-api-package-limit")
    said = authorise(client, channel)
    assert "is authorised until" in said[0]
    assert "does not keep news for us yet" in said[1]
    credential = Credential.objects.get()
    assert credential.state(timezone.now()) == Credential.State.CONNECTED
    assert not hasattr(credential.channel, "health") or credential.channel.health.kind == ""
    assert since() is None
    assert "messages are not kept for us" in caplog.text
    assert credential.access_token not in caplog.text
    answer = client.post(f"/connect/channels/{channel.pk}/test/", follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["success", "warning"]
    simulator.clear_faults()
    assert services.permit_messages(channel=channel, now=timezone.now())


def test_a_platform_without_messages_is_asked_for_none(simulator, client, owner):
    channel = woocommerce_channel(simulator)
    assert services.permit_messages(channel=channel, now=timezone.now()) is False
    answer = client.post(f"/connect/channels/{channel.pk}/test/", follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["success"]
    assert "kept for us" not in answer.text
