"""What the forms take and refuse, what they write to the audit log, and who may see a cost."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils.translation import gettext, override

from catalog.models import AuditEvent, Channel, Listing, Sku, User
from catalog.services import audit
from catalog.signals import channel_changed, listing_changed
from tests.factories import (
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
    SupplierFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard():
    """The signals that were sent, as (name, ids)."""
    sent = []

    def on_listings(sender, listing_ids, **kwargs):
        sent.append(("listings", listing_ids))

    def on_channels(sender, channel_ids, **kwargs):
        sent.append(("channels", channel_ids))

    listing_changed.connect(on_listings)
    channel_changed.connect(on_channels)
    yield sent
    listing_changed.disconnect(on_listings)
    channel_changed.disconnect(on_channels)


def address(obj, view):
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{view}", args=[obj.pk])


def listing_form(channel, **fields):
    return {
        "channel": channel.pk,
        "platform_item_id": "616",
        "platform_sku_id": "",
        "title": "",
        "ownership": "own",
        "sku": "",
        "pack_factor": "1",
        "outer_id": "",
        **fields,
    }


# --- Listings


def test_adding_a_listing_is_logged_and_told(
    operator_client, operator, own_channel, heard, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel))
    listing = Listing.objects.get()
    assert answer.url == address(listing, "change")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id, event.channel) == (
        "added",
        operator,
        str(listing.pk),
        own_channel,
    )
    assert event.changes["platform_item_id"] == [None, "616"]
    assert ("listings", [listing.pk]) in heard


def test_editing_logs_what_was_and_what_is_by_name(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel, sku=SkuFactory(code="OLD"), title="Kettle")
    new = SkuFactory(code="NEW")
    form = listing_form(
        own_channel, platform_item_id=listing.platform_item_id, title="Kettle", sku=new.pk, pack_factor="6"
    )
    operator_client.post(address(listing, "edit"), form)
    assert AuditEvent.objects.get().changes == {"sku": ["OLD", "NEW"], "pack_factor": [1, 6]}
    page = operator_client.get(address(listing, "history")).content.decode()
    assert "SKU: OLD → NEW" in page
    assert "Units per listing: 1 → 6" in page


def test_saving_without_a_change_logs_nothing(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel, title="Kettle")
    form = listing_form(own_channel, platform_item_id=listing.platform_item_id, title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    assert not AuditEvent.objects.exists()


def errors_of(page):
    return str(page.context["adminform"].form.errors)


def test_a_duplicate_is_refused_with_a_link_to_the_first(operator_client, own_channel):
    first = ListingFactory(channel=own_channel, platform_item_id="616")
    errors = errors_of(operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel)))
    assert "already a listing of the channel" in errors
    assert address(first, "change") in errors


def test_a_removed_listing_is_offered_for_restoring(operator_client, own_channel):
    gone = ListingFactory(
        channel=own_channel, platform_item_id="616", removed_at=datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    )
    errors = errors_of(operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel)))
    assert "was removed on 2026-11-20" in errors
    assert "Restore" in operator_client.get(address(gone, "change")).content.decode()
    operator_client.post(address(gone, "restore"))
    gone.refresh_from_db()
    assert gone.removed_at is None


def test_removing_and_restoring_are_logged_and_told(
    operator_client, own_channel, heard, django_capture_on_commit_callbacks
):
    listing = ListingFactory(channel=own_channel)
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(listing, "remove"))
        operator_client.post(address(listing, "restore"))
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["removed", "restored"]
    assert heard.count(("listings", [listing.pk])) == 2


def test_a_listing_cannot_be_deleted_by_anybody(admin_client):
    listing = ListingFactory()
    assert admin_client.post(address(listing, "delete"), {"post": "yes"}).status_code == 403
    admin_client.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "delete_selected", "index": "0", "_selected_action": [listing.pk], "post": "yes"},
    )
    assert Listing.objects.filter(pk=listing.pk).exists()


def test_removing_needs_a_post(operator_client, own_channel):
    assert operator_client.get(address(ListingFactory(channel=own_channel), "remove")).status_code == 405


def test_a_listing_that_was_read_keeps_its_channel_and_ids(operator_client, operator, own_channel, foreign_channel):
    operator.channels.add(foreign_channel)
    listing = ListingFactory(
        channel=own_channel, platform_item_id="616", observed_at=datetime(2026, 11, 20, tzinfo=UTC)
    )
    page = operator_client.get(address(listing, "edit"))
    assert "Channel and ids stay" in page.text
    assert 'name="platform_item_id"' not in page.text
    form = listing_form(foreign_channel, platform_item_id="617", platform_sku_id="9", title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert (listing.channel, listing.platform_id, listing.title) == (own_channel, "616", "Kettle")


def test_the_watch_of_a_new_listing_follows_it_to_another_channel(
    operator_client, operator, own_channel, foreign_channel, django_capture_on_commit_callbacks
):
    operator.channels.add(foreign_channel)
    listing = ListingFactory(channel=own_channel)
    ListingWatchFactory(listing=listing)
    form = listing_form(foreign_channel, platform_item_id=listing.platform_item_id, title=listing.title)
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert listing.channel == listing.watch.channel == foreign_channel


def test_saving_the_form_does_not_undo_a_reading_that_came_meanwhile(operator_client, own_channel, monkeypatch):
    listing = ListingFactory(channel=own_channel)

    def clean(self):
        Listing.objects.filter(pk=self.pk).update(stock=3)

    monkeypatch.setattr(Listing, "clean", clean)
    form = listing_form(own_channel, platform_item_id=listing.platform_item_id, title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert (listing.title, listing.stock) == ("Kettle", 3)


@pytest.mark.parametrize(
    ("pasted", "typed_sku_id", "ids"),
    [
        ("https://item.taobao.com/item.htm?id=603455037983&skuId=4400000000001", "", "603455037983/4400000000001"),
        ("https://detail.tmall.com/item.htm?spm=a1.b2&skuId=44&id=603455037983&x=" + "y" * 200, "", "603455037983/44"),
        (" detail.tmall.com/item.htm?abid=5&id=603455037983 ", "", "603455037983"),
        ("https://item.taobao.com/item.htm?id=603455037983&skuId=44", "45", "603455037983/45"),
        ("603455037983", "44", "603455037983/44"),
    ],
)
def test_the_ids_are_taken_from_a_pasted_address(operator_client, own_channel, pasted, typed_sku_id, ids):
    form = listing_form(own_channel, platform_item_id=pasted, platform_sku_id=typed_sku_id)
    operator_client.post(reverse("admin:catalog_listing_add"), form)
    assert Listing.objects.get().platform_id == ids


def test_an_address_pasted_into_an_unread_listing_changes_both_ids(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel)
    address_of_item = "https://item.taobao.com/item.htm?id=603455037983&skuId=44"
    operator_client.post(address(listing, "edit"), listing_form(own_channel, platform_item_id=address_of_item))
    listing.refresh_from_db()
    assert listing.platform_id == "603455037983/44"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("platform_item_id", "abc"),
        ("platform_item_id", "1" * 21),
        ("platform_item_id", "١٢٣"),  # digits, but not the platform's
        ("platform_item_id", "https://example.com/item.htm?id=603455037983"),
        ("platform_item_id", "https://example.com/?u=item.taobao.com/item.htm?id=603455037983"),
        ("platform_item_id", "https://shop.taobao.com/"),
        ("platform_sku_id", "red"),
    ],
)
def test_an_id_that_the_platform_cannot_have_is_refused(operator_client, own_channel, field, value):
    page = operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel, **{field: value}))
    assert "1 to 20 digits" in page.context["adminform"].form.errors[field][0]
    assert not Listing.objects.exists()


# --- Titles


@pytest.mark.parametrize(("language", "title"), [("en", "Add user"), ("zh-hans", "添加用户")])
def test_the_title_of_an_add_form_is_one_phrase(admin_client, language, title):
    admin_client.cookies["django_language"] = language
    assert f"<h1>{title}</h1>" in admin_client.get(reverse("admin:catalog_user_add")).text


def test_a_sku_is_called_so_when_it_is_deleted(admin_client):
    assert "Delete SKU “EV-9”?" in admin_client.get(address(SkuFactory(code="EV-9"), "delete")).text


def test_languages_bear_their_own_names(admin_client):
    admin_client.cookies["django_language"] = "zh-hans"
    text = admin_client.get(reverse("admin:catalog_supplier_changelist")).text
    assert ">English</button>" in text
    assert ">简体中文</button>" in text


# --- Channels


@pytest.mark.parametrize("seconds", [29, 604_801])
def test_the_limits_of_a_channels_interval_are_said_before_and_after(operator_client, own_channel, seconds):
    assert "from 30 seconds to 7 days" in operator_client.get(address(own_channel, "edit")).text
    form = {"name": "Ours", "platform": "taobao", "currency": "CNY", "time_zone": "Asia/Shanghai"}
    page = operator_client.post(address(own_channel, "edit"), {**form, "interval_seconds": seconds})
    assert "enter 30 to 604800" in errors_of(page)


def test_a_channels_page_says_its_interval_in_words(operator_client, own_channel):
    assert "read every 5 min" in operator_client.get(address(own_channel, "change")).text


def test_a_channel_is_stopped_and_started_again(
    operator_client, own_channel, heard, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(own_channel, "watch") + "?is_watched=0")
        assert not Channel.objects.get().is_watched
        operator_client.post(address(own_channel, "watch") + "?is_watched=1")
    assert Channel.objects.get().is_watched
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["stopped", "started"]
    assert ("channels", [own_channel.pk]) in heard


def test_a_currency_that_the_platform_cannot_have_is_refused(operator_client, own_channel, admin_client):
    form = {"name": "Ours", "currency": "USD", "time_zone": "UTC", "interval_seconds": 300}
    assert "counts in CNY only" in errors_of(operator_client.post(address(own_channel, "edit"), form))
    for platform, refused in (("taobao", True), ("shopify", False)):
        page = admin_client.post(f"/catalog/channel/add/?platform={platform}", {**form, "name": platform})
        assert (page.status_code == 200 and "counts in CNY only" in errors_of(page)) is refused
    assert list(Channel.objects.exclude(pk=own_channel.pk).values_list("platform", "currency")) == [("shopify", "USD")]


def test_a_channel_with_listings_keeps_its_currency(operator_client, own_channel):
    ListingFactory(channel=own_channel)
    form = {"name": "Ours", "platform": "taobao", "currency": "USD", "time_zone": "Moon/Base", "interval_seconds": 5}
    errors = errors_of(operator_client.post(address(own_channel, "edit"), form))
    assert "Its history is in CNY" in errors
    assert "is not a time zone" in errors
    assert "interval_seconds" in errors


def test_a_channel_with_listings_is_not_deleted(admin_client, own_channel):
    ListingFactory(channel=own_channel)
    assert admin_client.post(address(own_channel, "delete"), {"post": "yes"}).status_code == 403


# --- Deleting


def test_deleting_is_logged(admin_client):
    supplier = SupplierFactory(name="Factory 7")
    admin_client.post(address(supplier, "delete"), {"post": "yes"})
    event = AuditEvent.objects.get()
    assert (event.action, event.object_type, event.object_name) == ("deleted", "catalog.supplier", "Factory 7")


def test_what_is_in_use_is_not_deleted_and_its_users_are_not_named(admin_client, own_channel):
    listing = ListingFactory(channel=own_channel, title="Secret kettle", sku=SkuFactory())
    page = admin_client.post(address(listing.sku, "delete"), {"post": "yes"}).content.decode()
    assert "1 object that uses it" in page
    assert "Secret kettle" not in page
    assert Sku.objects.filter(pk=listing.sku_id).exists()


# --- Cost


@pytest.fixture
def priced(own_channel):
    sku = SkuFactory(code="EV-1", cost_price="148.25", supplier=SupplierFactory())
    ListingFactory(channel=own_channel, sku=sku)
    return sku


def pages_with_cost(sku):
    return [
        reverse("admin:catalog_sku_changelist"),
        address(sku, "change"),
        address(sku, "history"),
        address(sku.product, "change"),
        "/search/?q=EV-1",
    ]


def log_a_cost_change(sku, actor):
    audit(
        action="changed",
        obj=sku,
        actor=actor,
        now=datetime(2026, 11, 21, tzinfo=UTC),
        changes={"cost_price": ["150.75", "148.25"], "status": ["active", "paused"]},
    )


def test_cost_is_nowhere_for_people_who_may_not_see_it(operator_client, operator, priced):
    log_a_cost_change(priced, operator)
    for url in [*pages_with_cost(priced), address(priced, "edit"), reverse("admin:catalog_sku_add")]:
        text = operator_client.get(url).content.decode()
        assert "148.25" not in text, url
        assert "150.75" not in text, url
        assert "cost" not in text.lower(), url


def test_cost_is_not_in_the_audit_log_of_people_who_may_not_see_it(client, someone, priced):
    user = someone("Operator")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    log_a_cost_change(priced, user)
    client.force_login(user)
    text = client.get(reverse("admin:catalog_auditevent_changelist")).content.decode()
    assert "Status: active → paused" in text
    assert "148.25" not in text
    assert "Cost" not in text
    found = client.get(reverse("admin:catalog_auditevent_changelist"), {"q": "148.25"})
    assert list(found.context["cl"].result_list) == []


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("sku", "cost_price__gte"),
        ("sku", "cost_price"),
        ("sku", "cost_currency"),
        ("product", "skus__cost_price__gte"),
        ("listing", "sku__cost_price__gte"),
        ("supplier", "skus__cost_price__gte"),
    ],
)
def test_cost_cannot_be_found_out_by_filtering(operator_client, priced, model, lookup):
    assert operator_client.get(reverse(f"admin:catalog_{model}_changelist"), {lookup: "100"}).status_code == 400


@pytest.mark.parametrize(
    "lookup", ["changes__cost_price__1__startswith", "changes__icontains", "object_name__startswith", "actor__password"]
)
def test_the_audit_log_is_narrowed_by_its_filters_only(client, someone, priced, lookup):
    user = someone("Operator")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    log_a_cost_change(priced, user)
    client.force_login(user)
    url = reverse("admin:catalog_auditevent_changelist")
    assert client.get(url, {lookup: "1"}).status_code == 400
    assert client.get(url, {"kind": "catalog.sku"}).context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("listing", {"channel__id__exact": "1"}),
        ("listing", {"shelf_state__exact": "on_shelf", "mapped": "no", "tab": "unmapped"}),
        ("sku", {"status__exact": "active"}),
        ("product", {"brand": "x"}),
        ("user", {"is_active__exact": "1"}),
        ("sku", {"e": "1", "p": "1", "o": "1", "q": "x", "_popup": "1"}),
    ],
)
def test_lists_are_narrowed_by_what_their_filters_offer(admin_client, own_channel, model, query):
    page = admin_client.get(reverse(f"admin:catalog_{model}_changelist"), query)
    assert page.status_code == 200


def test_cost_cannot_be_found_out_by_sorting_or_searching(operator_client, priced):
    url = reverse("admin:catalog_sku_changelist")
    shown = operator_client.get(url, {"o": "4"}).context["cl"]
    assert "cost_price" not in str(shown.get_ordering_field_columns()) + str(shown.queryset.query.order_by)
    assert list(operator_client.get(url, {"q": "148.25"}).context["cl"].result_list) == []


def test_a_posted_cost_is_ignored_from_people_who_may_not_see_it(operator_client, priced):
    form = {"product": priced.product_id, "code": "EV-1", "status": "paused", "cost_price": "1", "cost_currency": "USD"}
    form |= {"components-TOTAL_FORMS": 0, "components-INITIAL_FORMS": 0}
    operator_client.post(address(priced, "edit"), form)
    priced.refresh_from_db()
    assert (priced.status, str(priced.cost_price), priced.cost_currency) == ("paused", "148.2500", "CNY")


def test_cost_is_shown_to_people_who_may_see_it(client, someone, priced):
    user = someone("Buyer")
    log_a_cost_change(priced, user)
    client.force_login(user)
    for url in [*pages_with_cost(priced)[:4], address(priced, "edit")]:
        assert "148.25" in client.get(url).content.decode(), url


# --- People


def user_form(user, **fields):
    return {"username": user.username, "is_active": "on", "is_staff": "on", **fields}


def test_nothing_of_a_password_is_logged(admin_client):
    user = UserFactory()
    form = {"password1": "new correct horse", "password2": "new correct horse", "usable_password": "true"}
    admin_client.post(reverse("admin:auth_user_password_change", args=[user.pk]), {**form, "set-password": "1"})
    user.refresh_from_db()
    assert user.check_password("new correct horse")
    event = AuditEvent.objects.get()
    assert (event.action, event.changes) == ("changed", {"password": ["•••", "•••"]})


def test_changing_ones_own_password_is_logged(client):
    user = UserFactory()
    client.force_login(user)
    form = {
        "old_password": "correct horse battery",
        "new_password1": "new correct horse",
        "new_password2": "new correct horse",
    }
    client.post(reverse("admin:password_change"), form)
    assert AuditEvent.objects.get().changes == {"password": ["•••", "•••"]}
    client.post(reverse("admin:password_change"), {**form, "old_password": "wrong"})
    assert AuditEvent.objects.count() == 1


def new_user_form(**fields):
    password = "correct horse battery"
    return {"username": "linyue", "password1": password, "password2": password, "is_staff": "on", **fields}


def test_one_form_makes_a_user_who_can_work(admin_client, client, own_channel):
    page = admin_client.get(reverse("admin:catalog_user_add"))
    assert page.context["adminform"].form["is_staff"].value() is True
    assert "Can sign in here" in page.text
    form = new_user_form(groups=[Group.objects.get(name="Viewer").pk], channels=[own_channel.pk])
    answer = admin_client.post(reverse("admin:catalog_user_add"), form, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["Added “linyue”."]
    client.post(reverse("admin:login"), {"username": "linyue", "password": "correct horse battery"})
    assert client.get(reverse("admin:catalog_listing_changelist")).status_code == 200
    assert list(User.objects.get(username="linyue").channels.all()) == [own_channel]


@pytest.mark.parametrize(
    ("fields", "told"), [({}, "sees nothing until they have a role"), ({"is_staff": ""}, "cannot sign in until")]
)
def test_adding_a_user_who_cannot_work_yet_says_so(admin_client, fields, told):
    page = admin_client.post(reverse("admin:catalog_user_add"), new_user_form(**fields), follow=True)
    assert told in [*map(str, page.context["messages"])][-1]


def test_a_new_user_gets_no_more_than_their_maker_has(client, people_manager, foreign_channel):
    client.force_login(people_manager)
    form = new_user_form(
        groups=[Group.objects.get(name="Manager").pk], channels=[foreign_channel.pk], is_superuser="on"
    )
    page = client.post(reverse("admin:catalog_user_add"), form)
    assert set(page.context["adminform"].form.errors) == {"groups", "channels"}
    client.post(reverse("admin:catalog_user_add"), new_user_form(is_superuser="on"))
    assert not User.objects.get(username="linyue").is_superuser


def test_nothing_of_a_password_is_shown(admin_client, client, someone):
    user = UserFactory()
    text = admin_client.get(address(user, "change")).text
    assert "Change password</a>" in text
    looking = someone("Viewer")
    looking.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(looking)
    seen = client.get(address(user, "change")).text
    assert "../password/" not in seen
    for page in (text, seen):
        assert user.password.split("$")[-1][:6] not in page
        assert "algorithm" not in page


@pytest.mark.parametrize("of", ["user", "role"])
def test_forms_offer_the_permissions_of_our_apps_only(admin_client, of):
    obj, field = (UserFactory(), "user_permissions") if of == "user" else (Group.objects.first(), "permissions")
    offered = admin_client.get(address(obj, "change")).context["adminform"].form.fields[field].queryset
    apps = set(offered.values_list("content_type__app_label", flat=True))
    assert apps == {"catalog", "monitoring", "integrations"}


@pytest.mark.parametrize("view", ["changelist", "add", "change", "delete"])
def test_roles_are_called_roles(admin_client, view):
    args = [Group.objects.get(name="Viewer").pk] if view in ("change", "delete") else []
    text = admin_client.get(reverse(f"admin:auth_group_{view}", args=args)).text
    assert "group" not in " ".join(re.findall(r">([^<>]+)<", text)).lower()


def test_roles_are_named_in_the_language_of_the_page(admin_client):
    UserFactory().groups.add(Group.objects.get(name="Manager"))
    admin_client.cookies["django_language"] = "zh-hans"
    for url in ("admin:catalog_user_changelist", "admin:catalog_user_add", "admin:auth_group_changelist"):
        text = admin_client.get(reverse(url)).text
        assert gettext_in("zh-hans", "Manager") in text
        assert ">Manager<" not in text


def gettext_in(language, text):
    with override(language):
        return gettext(text)


@pytest.mark.parametrize("how", ["one", "several"])
def test_of_a_user_who_cannot_be_deleted_it_is_said_what_to_do_instead(admin_client, how):
    user = UserFactory()
    audit(action="added", obj=ProductFactory(), actor=user, now=datetime(2026, 11, 21, tzinfo=UTC))
    if how == "one":
        page = admin_client.get(address(user, "delete"))
    else:
        selection = {"action": "delete_selected", "index": "0", "_selected_action": [user.pk]}
        page = admin_client.post(reverse("admin:catalog_user_changelist"), selection)
    assert "untick “Active”" in page.text


def test_a_new_user_is_logged_without_the_password(admin_client):
    admin_client.post(reverse("admin:catalog_user_add"), new_user_form())
    assert User.objects.get(username="linyue").check_password("correct horse battery")
    event = AuditEvent.objects.get()
    assert event.changes["username"] in ([None, "linyue"], ["", "linyue"])
    assert "correct horse" not in str(event.changes)


@pytest.fixture
def people_manager(someone):
    """Holds the user permissions and the role of an operator, on our channel only."""
    user = someone("Operator")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "add_user", "change_user"]))
    return user


@pytest.mark.parametrize("more", ["role", "permission", "channel", "role of an inactive user"])
def test_people_with_more_than_the_editor_has_are_not_changed_by_them(client, people_manager, foreign_channel, more):
    user = UserFactory(is_active="inactive" not in more)
    if more == "channel":
        user.channels.add(foreign_channel)
    elif more == "permission":
        user.user_permissions.add(Permission.objects.get(codename="view_cost"))
    else:
        user.groups.add(Group.objects.get(name="Manager"))
    client.force_login(people_manager)
    assert client.post(address(user, "change"), user_form(user, first_name="Changed")).status_code == 403
    password = {"password1": "new correct horse", "password2": "new correct horse", "usable_password": "true"}
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.post(url, {**password, "set-password": "1"}).status_code == 403
    stored = User.objects.get(pk=user.pk)
    assert (stored.password, stored.first_name) == (user.password, "")
    assert stored.groups.exists() or stored.channels.exists() or stored.user_permissions.exists()


def test_people_with_no_more_than_the_editor_has_are_changed_by_them(client, people_manager, own_channel):
    user = UserFactory()
    user.channels.add(own_channel)
    client.force_login(people_manager)
    role = Group.objects.get(name="Viewer")
    form = user_form(user, groups=[role.pk], channels=[own_channel.pk])
    assert client.post(address(user, "change"), form).status_code == 302
    assert (user.groups.get(), user.channels.get()) == (role, own_channel)


def test_people_with_more_than_the_editor_has_are_not_deleted_by_them(client, people_manager):
    user = UserFactory()
    user.groups.add(Group.objects.get(name="Manager"))
    people_manager.user_permissions.add(Permission.objects.get(codename="delete_user"))
    client.force_login(people_manager)
    assert client.post(address(user, "delete"), {"post": "yes"}).status_code == 403
    selection = {"action": "delete_selected", "index": "0", "_selected_action": [user.pk], "post": "yes"}
    client.post(reverse("admin:catalog_user_changelist"), selection)
    assert User.objects.filter(pk=user.pk).exists()


def test_nobody_gives_what_they_do_not_have(client, people_manager, foreign_channel):
    user = UserFactory()
    client.force_login(people_manager)
    manager_role = Group.objects.get(name="Manager")
    for more in ({"groups": [manager_role.pk]}, {"channels": [foreign_channel.pk]}):
        page = client.post(address(user, "change"), user_form(user, **more))
        assert set(page.context["adminform"].form.errors) == set(more)
    permission = Permission.objects.get(codename="view_cost")
    client.post(address(user, "change"), user_form(user, is_superuser="on", user_permissions=[permission.pk]))
    user.refresh_from_db()
    assert not user.is_superuser
    assert not user.user_permissions.exists()


def test_superusers_are_changed_by_superusers_only(client, people_manager):
    owner = UserFactory(is_superuser=True)
    client.force_login(people_manager)
    assert client.post(address(owner, "change"), user_form(owner)).status_code == 403
    url = reverse("admin:auth_user_password_change", args=[owner.pk])
    assert client.post(url, {"password1": "x", "password2": "x"}).status_code == 403


def test_roles_are_changed_by_superusers_only(client, someone, admin_client):
    user = someone("Manager")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    role = Group.objects.get(name="Manager")
    client.force_login(user)
    assert client.post(address(role, "change"), {"name": "Boss"}).status_code == 403
    admin_client.post(address(role, "change"), {"name": "Boss", "permissions": []})
    assert Group.objects.filter(name="Boss").exists()


def test_people_without_user_permissions_see_no_team(operator_client):
    assert operator_client.get(reverse("admin:catalog_user_changelist")).status_code == 403


# --- The log itself


def test_the_audit_log_cannot_be_written(admin_client):
    event = audit(action="added", obj=ProductFactory(), actor=None, now=datetime(2026, 11, 21, tzinfo=UTC))
    assert admin_client.post(reverse("admin:catalog_auditevent_add"), {}).status_code == 403
    assert admin_client.post(address(event, "change"), {"action": "x"}).status_code == 403
    assert admin_client.post(address(event, "delete"), {"post": "yes"}).status_code == 403


def test_a_connection_in_the_log_is_for_those_who_may_see_it(client, someone, own_channel):
    user = someone("Manager")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    changes = {"integrations.credential.app_key": ["12345678", "87654321"], "name": ["Old", "Ours"]}
    audit(action="changed", obj=own_channel, actor=user, now=datetime(2026, 11, 21, tzinfo=UTC), changes=changes)
    urls = [address(own_channel, "history"), reverse("admin:catalog_auditevent_changelist")]
    client.force_login(user)
    for url in urls:
        text = client.get(url).text
        assert "Name: Old → Ours" in text
        assert "12345678" not in text
    user.user_permissions.add(Permission.objects.get(codename="view_credential"))
    for url in urls:
        assert "App key: 12345678 → 87654321" in client.get(url).text


def test_the_audit_log_shows_the_system_and_hostile_names_as_text(admin_client):
    product = ProductFactory(name="<script>alert(1)</script>")
    audit(
        action="changed",
        obj=product,
        actor=None,
        now=datetime(2026, 11, 21, 4, 0, tzinfo=UTC),
        changes={"name": ["a", "<b>b</b>"], "is_watched": [True, None]},
    )
    text = admin_client.get(reverse("admin:catalog_auditevent_changelist")).content.decode()
    assert "the system" in text
    assert "Name: a → &lt;b&gt;b&lt;/b&gt;" in text
    assert "Is_watched: yes → —" in text
    assert "<script>alert" not in text
