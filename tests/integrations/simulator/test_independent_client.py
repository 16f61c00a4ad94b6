"""A Taobao client that others wrote, with nothing changed but the host."""

import gc
from urllib.parse import urlsplit

import pytest
import taobao_open
from taobao_open.api.base import RestApi, TopException
from taobao_open.api.rest.ItemSkusGetRequest import ItemSkusGetRequest
from taobao_open.api.rest.TbkItemInfoGetRequest import TbkItemInfoGetRequest
from taobao_open.api.rest.TimeGetRequest import TimeGetRequest

pytestmark = [
    pytest.mark.pure,
    # It leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class ItemSellerGetRequest(RestApi):
    """A method the client's edition does not list; it names such requests by a class of this form."""

    def __init__(self, domain, port):
        super().__init__(domain, port)
        self.fields = None
        self.num_iid = None

    def getapiname(self):
        return "taobao.item.seller.get"


@pytest.fixture(autouse=True)
def _collected():
    yield
    gc.collect()


@pytest.fixture
def address(simulator):
    parts = urlsplit(simulator.base_url)
    return parts.hostname, parts.port


@pytest.fixture
def app(taobao):
    return taobao_open.appinfo(taobao.account["app_key"], taobao.account["app_secret"])


def test_it_reads_an_item_of_the_shop(address, app, taobao, own_row):
    request = ItemSellerGetRequest(*address)
    request.set_app_info(app)
    request.fields = "num_iid,title,price,num"
    request.num_iid = own_row["num_iid"]
    item = request.getResponse(taobao.session)["item_seller_get_response"]["item"]
    assert item["num_iid"] == own_row["num_iid"]
    assert item["title"] == own_row["title"]


def test_it_reads_variants(address, app, taobao, own_row):
    request = ItemSkusGetRequest(*address)
    request.set_app_info(app)
    request.fields = "sku_id,price,quantity"
    request.num_iids = str(own_row["num_iid"])
    skus = request.getResponse(taobao.session)["item_skus_get_response"]["skus"]["sku"]
    assert {"sku_id": own_row["sku_id"], "price": own_row["price"], "quantity": own_row["quantity"]} in skus


def test_it_reads_a_competitors_item(address, app, simulator):
    foreign = next(row for row in simulator.taobao.items() if not row["own"] and row["approve_status"] == "onsale")
    request = TbkItemInfoGetRequest(*address)
    request.set_app_info(app)
    request.num_iids = str(foreign["num_iid"])
    (item,) = request.getResponse()["tbk_item_info_get_response"]["results"]["n_tbk_item"]
    assert item["nick"] == foreign["nick"]


def test_wrong_secret_is_refused_with_code_25(address, app):
    request = TimeGetRequest(*address)
    request.set_app_info(taobao_open.appinfo(app.appkey, "wrong"))
    with pytest.raises(TopException) as caught:
        request.getResponse()
    assert caught.value.errorcode == 25
