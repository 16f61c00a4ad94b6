"""From a shop that refuses the keys of a channel to new ones that it takes."""

import pytest
from django.utils import timezone

from integrations import services
from integrations.connections import Unconnected, connector_for
from integrations.connectors.errors import Reauthorise
from integrations.models import Credential
from integrations.problems import Help, explain
from tests.factories import UserFactory
from tests.integrations.shops import woocommerce_channel

pytestmark = pytest.mark.django_db


def stored():
    return Credential.objects.select_related("channel").get()


def test_keys_that_are_refused_are_to_be_entered_again(simulator):
    channel, now, actor = woocommerce_channel(simulator), timezone.now(), UserFactory()
    simulator.woocommerce.revoke_key(channel.credential.app_key)
    with pytest.raises(Reauthorise):
        services.check_connection(channel=channel, actor=actor, now=now)
    assert (stored().state(now), stored().revoked_cause) == (Credential.State.REAUTHORISE, "bad-app-key")
    with pytest.raises(Unconnected):
        connector_for(stored().channel, now=now)


@pytest.mark.parametrize(
    "cause",
    [
        "bad-app-key",
        "bad-secret",
        "bad-signature",
        "key-reads-only",
        "keys-not-taken",
        "role-too-weak",
        "scope-missing",
    ],
)
def test_nobody_is_sent_to_authorise_where_there_are_only_keys(simulator, cause):
    channel = woocommerce_channel(simulator)
    told = explain(cause=cause, channel=channel, at=timezone.now())
    assert told.help is not Help.REAUTHORISE
    assert "authorise again" not in told.advice


def test_new_keys_end_the_refusal(simulator):
    channel, now, actor = woocommerce_channel(simulator), timezone.now(), UserFactory()
    simulator.woocommerce.revoke_key(channel.credential.app_key)
    with pytest.raises(Reauthorise):
        services.check_connection(channel=channel, actor=actor, now=now)
    key = simulator.woocommerce.add_key()
    values = {"app_key": key["consumer_key"], "app_secret": key["consumer_secret"]}
    services.save_credential(channel=stored().channel, values=values, actor=actor, now=now)
    assert (stored().state(now), stored().revoked_cause) == (Credential.State.CONNECTED, "")
    name = simulator.woocommerce.shop()["name"]
    assert connector_for(stored().channel, now=now).check_connection(now=now) == name
    assert services.check_connection(channel=stored().channel, actor=actor, now=now).shop == name
