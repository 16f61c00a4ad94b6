"""SKUs made of proposals that none of ours fits: what is made, what is left alone, and how it is taken back."""

from datetime import timedelta

import pytest
from django.utils.http import urlencode

from catalog.mapping import new_skus, review, take_back
from catalog.models import AuditEvent, Listing, Product, Proposal, Sku
from tests.factories import (
    NOW,
    ChannelFactory,
    ListingFactory,
    ProductFactory,
    ProposalFactory,
    SkuFactory,
    UserFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)
LIST = "/catalog/proposal/"


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店")


@pytest.fixture
def actor():
    return UserFactory(is_superuser=True)


def proposed(channel, **fields) -> Proposal:
    proposal = ProposalFactory(channel=channel, **fields)
    review([proposal])
    return Proposal.objects.get(pk=proposal.pk)


def every():
    return Proposal.objects.all()


def made(actor, proposals=None, **options):
    chosen = every() if proposals is None else proposals
    shown = new_skus.plan(proposals=chosen, **options).facts
    return new_skus.create(proposals=chosen, shown=shown, actor=actor, now=LATER, **options)


def test_variants_of_an_item_become_skus_of_one_product(channel, actor):
    for number in (1, 2):
        proposed(
            channel,
            title="保温杯",
            platform_item_id="616",
            platform_sku_id=str(number),
            outer_id=f"CUP-{number}",
            barcode=f"690123456789{number}",
        )
    decided = made(actor)
    assert (decided.done, decided.added, decided.mapped) == (2, 2, 2)
    product = Product.objects.get()
    assert product.name == "保温杯"
    skus = Sku.objects.order_by("code").values_list("code", "product", "barcode", "listings__platform_sku_id")
    assert list(skus) == [
        ("CUP-1", product.pk, "6901234567891", "1"),
        ("CUP-2", product.pk, "6901234567892", "2"),
    ]
    events = AuditEvent.objects.filter(action="added", actor=actor).order_by("pk")
    assert list(events.values_list("object_type", flat=True)) == [
        "catalog.product",
        "catalog.sku",
        "catalog.sku",
        "catalog.listing",
        "catalog.listing",
    ]


def test_without_a_merchant_code_the_platforms_ids_make_the_code(channel, actor):
    proposed(channel, platform_item_id="616", platform_sku_id="9", title="")
    proposed(channel, platform_item_id="717", title="壶")
    made(actor)
    mark = channel.mark
    assert list(Sku.objects.order_by("pk").values_list("code", "product__name")) == [
        (f"{mark}-616-9", f"{mark}-616-9"),
        (f"{mark}-717", "壶"),
    ]


def test_a_further_variant_joins_the_product_of_those_that_are_mapped(channel, actor):
    sku = SkuFactory(product=ProductFactory(name="our name"))
    ListingFactory(channel=channel, platform_item_id="616", platform_sku_id="1", sku=sku)
    proposed(channel, platform_item_id="616", platform_sku_id="2", title="保温杯", outer_id="CUP-2")
    made(actor)
    assert Sku.objects.get(code="CUP-2").product == sku.product


def test_variants_that_are_made_one_by_one_share_a_product(channel, actor):
    first, second = (
        proposed(channel, platform_item_id="616", platform_sku_id=each, title="保温杯", outer_id=f"CUP-{each}")
        for each in "12"
    )
    made(actor, every().filter(pk=first.pk))
    second.refresh_from_db()
    assert second.evidence == "title"
    assert made(actor, every().filter(pk=second.pk)).done == 1
    assert Product.objects.get().skus.count() == 2


def test_a_product_that_has_the_title_already_is_taken(channel, actor):
    product = ProductFactory(name="保温杯")
    proposed(channel, title="保温杯", outer_id="CUP-1")
    made(actor)
    assert Sku.objects.get().product == product


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"outer_id": "CUP-01"}, "fits", id="a SKU fits"),
        pytest.param({"outer_id": "CUP-01", "barcode": "6901234567892"}, "conflict", id="two SKUs fit"),
        pytest.param({"outer_id": "cup-01"}, "taken", id="a code that differs in capitals"),
        pytest.param({"title": "保温杯"}, "weak", id="a title fits"),
        pytest.param({"outer_id": "NEW"}, "twice", id="the code of another chosen one"),
        pytest.param({"outer_id": "new"}, "twice", id="the same in other capitals"),
        pytest.param({"outer_id": "NEW-2", "barcode": "06900000000007"}, "twice", id="the barcode of another"),
        pytest.param({"outer_id": "NEW-3", "status": "rejected", "decided_at": NOW}, "decided", id="decided before"),
    ],
)
def test_no_second_sku_is_made_of_what_there_is(channel, actor, fields, reason):
    SkuFactory(code="CUP-01", product__name="保温杯")
    SkuFactory(barcode="6901234567892")
    proposed(channel, outer_id="NEW", barcode="6900000000007", title="first")
    proposed(channel, **fields)
    count = Sku.objects.count()
    decided = made(actor)
    assert (decided.done, decided.left) == (1, {reason: 1})
    assert Sku.objects.count() == count + 1


def test_where_only_a_title_fits_a_person_may_make_a_sku_of_just_that_one(channel, actor):
    SkuFactory(product=ProductFactory(name="保温杯"))
    proposed(channel, title="保温杯", outer_id="CUP-9")
    assert made(actor, is_one=True).done == 1
    assert [*Listing.objects.values_list("sku__code", flat=True)] == ["CUP-9"]


def test_the_same_goods_on_another_channel_then_fit_the_new_sku(channel, actor):
    mine = proposed(channel, outer_id="CUP-1")
    theirs = proposed(ChannelFactory(), outer_id="CUP-1")
    made(actor, every().filter(pk=mine.pk))
    theirs.refresh_from_db()
    assert theirs.is_clear


def test_what_is_another_plan_than_the_one_shown_is_not_made(channel, actor):
    proposed(channel, outer_id="CUP-1")
    shown = new_skus.plan(proposals=every()).facts
    Proposal.objects.update(outer_id="CUP-2")
    with pytest.raises(new_skus.Outdated):
        new_skus.create(proposals=every(), shown=shown, actor=actor, now=LATER)
    assert not Sku.objects.exists()


def test_what_was_made_is_taken_back_with_its_product(channel, actor):
    other = proposed(ChannelFactory(), outer_id="CUP-1")
    mine = proposed(channel, outer_id="CUP-1", title="保温杯")
    made(actor, every().filter(pk=mine.pk))
    assert take_back(proposals=every().filter(pk=mine.pk), actor=actor, now=LATER).done == 1
    assert not Sku.objects.exists()
    assert not Product.objects.exists()
    for each in (mine, other):
        each.refresh_from_db()
        assert (each.is_open, each.sku, each.evidence) == (True, None, "")
    assert Listing.objects.get().removed_at == LATER
    assert AuditEvent.objects.filter(action="deleted").count() == 2


@pytest.mark.parametrize("use", ["mapped", "changed"])
def test_a_new_sku_that_is_used_or_was_changed_since_stays(channel, actor, use):
    proposed(channel, outer_id="CUP-1")
    made(actor)
    sku = Sku.objects.get()
    if use == "mapped":
        ListingFactory(sku=sku)
    else:
        AuditEvent.objects.create(
            at=LATER, action="changed", object_type="catalog.sku", object_id=sku.pk, changes={"name": ["", "red"]}
        )
    assert take_back(proposals=every(), actor=actor, now=LATER).left == {"kept": 1}
    assert Sku.objects.get() == sku


def test_many_are_made_in_parts_and_still_no_code_comes_twice(channel, actor, monkeypatch):
    monkeypatch.setattr("catalog.mapping.decisions.CHUNK", 3)
    for number in range(8):
        ProposalFactory(channel=channel, outer_id=f"CUP-{number % 7}", title="杯")
    decided = made(actor)
    assert (decided.done, decided.left) == (7, {"twice": 1})
    assert Product.objects.count() == 1


def test_many_cost_few_queries(channel, actor, django_assert_max_num_queries):
    for number in range(60):
        ProposalFactory(channel=channel, outer_id=f"CUP-{number}", title=f"杯 {number}")
    shown = new_skus.plan(proposals=every()).facts
    with django_assert_max_num_queries(80):
        new_skus.create(proposals=every(), shown=shown, actor=actor, now=LATER)


# --- Pages ------------------------------------------------------------------------------------------------------------


def act(client, *proposals, **data):
    chosen = {"action": "create_skus", "_selected_action": [each.pk for each in proposals], "index": 0}
    return client.post(LIST, {**chosen, "select_across": 0, **data}, follow=True)


def test_what_is_to_be_made_is_shown_first_and_undone_together(client, channel):
    signed_in(client, "Operator", channel)
    SkuFactory(code="CUP-9")
    new = [
        proposed(channel, outer_id=f"CUP-{n}", title="保温杯", platform_item_id="616", platform_sku_id=n) for n in "12"
    ]
    fits = proposed(channel, outer_id="CUP-9")
    asked = act(client, *new, fits)
    assert "Create 2 SKUs" in asked.text
    assert "1 left alone: a SKU fits. Accept it instead." in asked.text
    assert Sku.objects.count() == 1
    done = act(client, *new, fits, confirmed=1, seal=asked.context["seal"])
    assert "Created 2 SKUs. 2 listings are new." in done.text
    assert Listing.objects.filter(sku__code__in=["CUP-1", "CUP-2"]).count() == 2
    at = Proposal.objects.get(pk=new[0].pk).decided_at
    assert at is not None
    undone = client.post(f"{LIST}undo/?{urlencode({'at': at.isoformat()})}", follow=True)
    assert "Took back 2 decisions." in undone.text
    assert list(Sku.objects.values_list("code", flat=True)) == ["CUP-9"]


def test_a_plan_that_changed_since_it_was_shown_is_not_carried_out(client, channel):
    signed_in(client, "Operator", channel)
    proposal = proposed(channel, outer_id="CUP-1")
    seal = act(client, proposal).context["seal"]
    Proposal.objects.update(title="another")
    assert "It has changed since" in act(client, proposal, confirmed=1, seal=seal).text
    assert not Sku.objects.exists()


def test_one_is_made_on_its_own_page(client, channel):
    signed_in(client, "Operator", channel)
    proposal = proposed(channel, outer_id="CUP-1")
    page = f"{LIST}{proposal.pk}/"
    assert "Create a SKU…" in client.get(f"{page}change/").text
    asked = client.post(f"{page}decide/", {"deed": "create"})
    assert "Create 1 SKU" in asked.text
    done = client.post(f"{page}decide/", {"deed": "create", "confirmed": 1, "seal": asked.context["seal"]}, follow=True)
    assert "Created 1 SKU. 1 listing is new." in done.text
    assert [*Listing.objects.values_list("sku__code", flat=True)] == ["CUP-1"]


def test_who_may_not_add_skus_makes_none(client, channel):
    signed_in(client, "Viewer", channel)
    proposal = proposed(channel, outer_id="CUP-1")
    assert "Create a SKU…" not in client.get(f"{LIST}{proposal.pk}/change/").text
    assert client.post(f"{LIST}{proposal.pk}/decide/", {"deed": "create", "confirmed": 1}).status_code == 403
    act(client, proposal, confirmed=1)
    assert not Sku.objects.exists()
