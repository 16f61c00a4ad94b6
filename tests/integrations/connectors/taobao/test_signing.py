import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connectors.taobao.signing import SIGN_METHODS, signature, signed, timestamp

pytestmark = pytest.mark.pure

PUBLISHED = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}
names = st.text(min_size=1, max_size=12).filter(lambda name: name not in {"sign", "sign_method"})
parameter_sets = st.dictionaries(names, st.text(max_size=20), max_size=12)


@pytest.mark.parametrize(
    ("sign_method", "expected"),
    [
        pytest.param("md5", "66987CB115214E59E6EC978214934FB8", id="published by the platform"),
        pytest.param("hmac", "D56D7858309C31B6251083A874D48273", id="worked out from the rule"),
        pytest.param(
            "hmac-sha256",
            "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8",
            id="worked out from the rule, sha256",
        ),
    ],
)
def test_known_request_has_the_known_signature(sign_method, expected):
    assert signature({**PUBLISHED, "sign_method": sign_method}, "helloworld", sign_method) == expected


def test_stock_update_has_the_known_signature():
    parameters = {name: value for name, value in PUBLISHED.items() if name != "fields"} | {
        "method": "taobao.item.quantity.update",
        "sku_id": "1230005",
        "quantity": "7",
        "type": "1",
        "sign_method": "hmac-sha256",
    }
    expected = "040BBDB6F19BC316A3B30E98B4907146A40ADCC2C9F41BE7827BF61661DD1FBB"
    assert signature(parameters, "helloworld", "hmac-sha256") == expected


@given(parameters=parameter_sets, sign_method=st.sampled_from(SIGN_METHODS), data=st.data())
def test_order_of_parameters_does_not_matter(parameters, sign_method, data):
    shuffled = dict(data.draw(st.permutations(list(parameters.items()))))
    assert signature(shuffled, "secret", sign_method) == signature(parameters, "secret", sign_method)


@given(parameters=parameter_sets, sign_method=st.sampled_from(SIGN_METHODS))
def test_empty_values_are_neither_signed_nor_sent(parameters, sign_method):
    form = signed({**parameters, "sign_method": sign_method}, "secret")
    assert all(form.values())
    with_value = {name: value for name, value in parameters.items() if value}
    assert form == signed({**with_value, "sign_method": sign_method}, "secret")


@given(parameters=parameter_sets)
def test_parameters_are_joined_in_the_byte_order_of_their_names(parameters):
    in_byte_order = sorted((name.encode("utf-8", "surrogatepass"), value) for name, value in parameters.items())
    assert [name.decode("utf-8", "surrogatepass") for name, _ in in_byte_order] == sorted(parameters)


@pytest.mark.parametrize("sign_method", SIGN_METHODS)
def test_a_signature_already_there_is_not_signed_again(sign_method):
    form = signed({**PUBLISHED, "sign_method": sign_method}, "helloworld")
    assert signed(form, "helloworld") == form


def test_sha1_is_no_sign_method():
    with pytest.raises(ValueError, match="hmac-sha256"):
        signature(PUBLISHED, "helloworld", "sha1")


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def host_zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("host_zone")
def test_timestamps_are_gmt_8_on_any_host():
    assert timestamp(datetime(2025, 12, 31, 16, 0, 5, tzinfo=UTC)) == "2026-01-01 00:00:05"
    assert timestamp(datetime(2025, 7, 1, 9, 30, tzinfo=timezone(timedelta(hours=-4)))) == "2025-07-01 21:30:00"
