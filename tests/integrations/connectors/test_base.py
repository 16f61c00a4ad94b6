import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connectors.base import InvalidSetting, ListingRef
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials

pytestmark = pytest.mark.pure

CREDENTIALS = TaobaoCredentials(app_key="1", app_secret="geheim")
refs = st.lists(
    st.builds(
        ListingRef,
        listing_id=st.integers(1, 10_000),
        item_id=st.integers(1, 120).map(str),
        sku_id=st.sampled_from(["", "1", "2", "3"]),
        is_own=st.booleans(),
    ),
    max_size=300,
)


@given(refs=refs)
def test_batches_hold_every_listing_once_and_stay_within_the_limits(refs):
    connector = TaobaoConnector(CREDENTIALS)
    batches = connector.read_batches(refs)
    key = repr
    assert sorted((ref for batch in batches for ref in batch), key=key) == sorted(refs, key=key)
    for batch in batches:
        assert len({ref.is_own for ref in batch}) == 1
        assert len({ref.item_id for ref in batch}) <= (20 if batch[0].is_own else 40)
    # An item is in one batch with all its variants, and no batch is left half full before the next is begun.
    for is_own, limit in ((True, 20), (False, 40)):
        of_kind = [batch for batch in batches if batch[0].is_own is is_own]
        items = [item_id for batch in of_kind for item_id in {ref.item_id for ref in batch}]
        assert len(items) == len(set(items))
        assert len(of_kind) == -(-len(items) // limit)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://shop.example",
        "shop.example",
        "http://",
        "http://user:geheim@shop.example",
        "http://shop.example/?token=geheim",
        "http://shop.example/#x",
        "http://shop.example:99999",
        "http://[broken",
    ],
)
@pytest.mark.parametrize("field", ["base_url", "auth_base_url"])
def test_an_address_that_cannot_be_used_is_refused_without_quoting_it(field, address):
    with pytest.raises(InvalidSetting) as caught:
        TaobaoConnector(CREDENTIALS, **{field: address})
    assert caught.value.field == field
    assert "geheim" not in str(caught.value)


def test_a_path_before_the_platform_path_is_kept():
    connector = TaobaoConnector(CREDENTIALS, base_url="https://proxy.example/taobao/")
    assert connector.authorise_url(redirect_uri="x", state="y").startswith("https://proxy.example/taobao/authorize?")
