"""Signatures against published examples, and against values computed apart from this code."""

import pytest

from integrations.notifying.senders.signing import (
    acs3_authorization,
    acs3_query,
    content_sha256,
    dingtalk_sign,
    feishu_sign,
    webhook_key,
    webhook_signature,
)

pytestmark = pytest.mark.pure

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_dingtalk_signs_the_time_with_the_secret():
    assert dingtalk_sign("this is secret", 1599360473000) == "hXZTWifRGHclNuZSKxoXc//sh51SWfVfRIhcdeKs63I="


def test_feishu_swaps_key_and_message():
    assert feishu_sign("demo", 1599360473) == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


@pytest.mark.parametrize(
    ("message_id", "timestamp_s", "body", "expected"),
    [
        pytest.param(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            id="published",
        ),
        pytest.param(
            "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
            1674087231,
            b'{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z",'
            b'"data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}',
            "v1,ARw42xaAApl/nxRo+iPGYwSaMQaOwMo2eyH5JBRA+bQ=",
            id="an event",
        ),
    ],
)
def test_standard_webhooks_sign_id_time_and_body(message_id, timestamp_s, body, expected):
    assert webhook_signature(webhook_key(WEBHOOK_SECRET), message_id, timestamp_s, body) == expected


def test_a_webhook_secret_may_lack_prefix_and_padding():
    key = webhook_key(WEBHOOK_SECRET)
    assert webhook_key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == key
    assert len(webhook_key("whsec_" + "QUFB" * 8 + "QQ")) == 25


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whsec_" + "!" * 40, "whsec_" + "QUFB" * 22])
def test_a_webhook_secret_must_be_long_enough_and_base64(secret):
    with pytest.raises(ValueError, match="not"):
        webhook_key(secret)


@pytest.mark.parametrize(
    ("date", "nonce", "expected"),
    [
        (
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
        (
            "2023-10-26T09:01:01Z",
            "d410180a5abf7fe235dd9b74aca91fc0",
            "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
        ),
    ],
)
def test_alibaba_cloud_signs_as_its_documentation_shows(date, nonce, expected):
    authorization = acs3_authorization(
        key_id="YourAccessKeyId",
        secret="YourAccessKeySecret",
        method="POST",
        query={
            "RegionId": "cn-shanghai",
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        },
        headers={
            "x-acs-version": "2014-05-26",
            "host": "ecs.cn-shanghai.aliyuncs.com",
            "x-acs-action": "RunInstances",
            "x-acs-content-sha256": content_sha256(b""),
            "x-acs-date": date,
            "x-acs-signature-nonce": nonce,
        },
        body=b"",
    )
    signed = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
    assert authorization == (f"ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders={signed},Signature={expected}")


def test_alibaba_cloud_encodes_what_form_encoding_would_not():
    assert acs3_query({"b": "a b*~+/", "a": "灯"}) == "a=%E7%81%AF&b=a%20b%2A~%2B%2F"
