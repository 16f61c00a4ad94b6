import pytest

from integrations.simulator.taobao.signing import expected_sign

pytestmark = pytest.mark.pure

READ = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}
WRITE = {
    "method": "taobao.item.quantity.update",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "num_iid": "11223344",
    "sku_id": "1230005",
    "quantity": "7",
    "type": "1",
}


@pytest.mark.parametrize(
    ("parameters", "sign_method", "sign"),
    [
        pytest.param(READ, "md5", "66987CB115214E59E6EC978214934FB8", id="md5, the platform's published example"),
        pytest.param(READ, "hmac", "D56D7858309C31B6251083A874D48273", id="hmac"),
        pytest.param(
            READ, "hmac-sha256", "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8", id="hmac-sha256"
        ),
        pytest.param(
            WRITE, "hmac-sha256", "040BBDB6F19BC316A3B30E98B4907146A40ADCC2C9F41BE7827BF61661DD1FBB", id="a write"
        ),
    ],
)
def test_signature_is_the_platforms(parameters, sign_method, sign):
    assert expected_sign({**parameters, "sign_method": sign_method}, "helloworld", sign_method) == sign


def test_signature_itself_is_not_signed():
    parameters = {**READ, "sign_method": "md5", "sign": "anything"}
    assert expected_sign(parameters, "helloworld", "md5") == "66987CB115214E59E6EC978214934FB8"


def test_unknown_sign_method_is_refused():
    with pytest.raises(ValueError, match="sha1"):
        expected_sign(READ, "helloworld", "sha1")
