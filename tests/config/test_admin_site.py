import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.urls import reverse

from catalog.models import Listing
from config import admin_site
from config.admin_site import Badge, Registry
from tests.factories import ChannelFactory, ListingFactory, ProductFactory, SkuFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def registry(monkeypatch):
    """An empty registry in the place of the real one."""
    fresh = Registry()
    monkeypatch.setattr(admin_site, "registry", fresh)
    monkeypatch.setattr("config.model_admin.registry", fresh)
    monkeypatch.setattr("config.change_list.registry", fresh)
    return fresh


def add_panels(*panels):
    for name, area, order, context in panels:
        admin_site.add_panel("listing", f"{name}.html", context, area=area, order=order)


@pytest.fixture
def panel_templates(settings):
    """Templates a.html and b.html that say who they are and what they were given."""
    texts = {f"{name}.html": f"<p>{name}: {{{{ obj }}}} {{{{ figure }}}}</p>" for name in "ab"}
    settings.TEMPLATES = [
        {
            **settings.TEMPLATES[0],
            "DIRS": [],
            "APP_DIRS": False,
            "OPTIONS": {
                **settings.TEMPLATES[0]["OPTIONS"],
                "loaders": [("django.template.loaders.locmem.Loader", texts)],
            },
        }
    ]


def test_panels_are_drawn_in_their_area_and_order(registry, panel_templates, rf):
    add_panels(
        ("b", "main", 60, lambda request, obj: {"figure": 2}),
        ("a", "main", 40, lambda request, obj: {"figure": 1}),
        ("a", "side", 50, lambda request, obj: None),
    )
    drawn = admin_site.page_panels("listing", rf.get("/"), "kettle")
    assert drawn["main"] == ["<p>a: kettle 1</p>", "<p>b: kettle 2</p>"]
    assert drawn["side"] == []


def test_a_button_without_an_address_is_left_out(registry, rf):
    admin_site.add_button("listing", "Fetch now", lambda request, obj: None)
    admin_site.add_button("listing", "Edit", lambda request, obj: "/edit/", method="get", order=60)
    admin_site.add_button("listing", "Map", lambda request, obj: "/map/", primary=True, order=40)
    shown = admin_site.page_buttons("listing", rf.get("/"), None)
    assert [(button.label, button.method, button.primary) for button in shown] == [
        ("Map", "post", True),
        ("Edit", "get", False),
    ]


def test_the_worst_badge_is_shown(registry, rf):
    badges = [Badge("muted", "Removed"), None, Badge("critical", "Refused"), Badge("warning", "Ends soon")]

    def badge_at(position):
        return lambda request, obj: badges[position]

    for position in range(len(badges)):
        admin_site.add_badge("channel", badge_at(position))
    assert admin_site.page_badge("channel", rf.get("/"), None) == Badge("critical", "Refused")


def test_an_unknown_severity_is_refused():
    with pytest.raises(ValueError, match="loud"):
        Badge("loud", "Sale")  # type: ignore[arg-type]


def test_a_column_of_the_same_name_takes_the_place_of_the_earlier_one(registry):
    admin_site.add_column(Listing, "price", "Price", lambda listing: "first")
    admin_site.add_column(Listing, "price", "Price", lambda listing: "second")
    assert [column.func(None) for column in registry.columns[Listing]] == ["second"]


def menu_of(client):
    return {
        str(group.label): [str(item.label) for item in group.items]
        for group in client.get(reverse("admin:setup")).context["menu"]
    }


def test_the_menu_has_only_groups_with_something_in_them(client, registry):
    admin_site.add_menu_item("watch", "Dashboard", "admin:index", permission=None, count=lambda request: 9)
    admin_site.add_menu_item("settings", "Team", "admin:catalog_user_changelist", permission="catalog.view_user")
    client.force_login(UserFactory())
    assert menu_of(client) == {"Watch": ["Dashboard"]}
    client.force_login(UserFactory(is_superuser=True))
    assert menu_of(client) == {"Watch": ["Dashboard"], "Settings": ["Team"]}


def test_a_group_that_does_not_exist_is_refused(registry):
    with pytest.raises(KeyError):
        admin_site.add_menu_item("misc", "Other", "admin:index", permission=None)


@pytest.mark.parametrize(
    ("address", "current"), [("/", "Dashboard"), ("/catalog/listing/", "Listings"), ("/catalog/sku/add/", "SKUs")]
)
def test_the_page_one_is_on_is_marked_in_the_menu(admin_client, address, current):
    ListingFactory()
    menu = admin_client.get(address).context["menu"]
    assert [str(item.label) for group in menu for item in group.items if item.is_current] == [current]


def test_registered_columns_tabs_and_actions_appear_on_the_list(admin_client, registry):
    ListingFactory(title="Kettle")
    admin_site.add_column(Listing, "name", "Name", lambda listing: listing.title)
    admin_site.add_column(Listing, "margin", "Margin", lambda listing: "6.9%", classes="num")
    admin_site.add_tab(Listing, "all", "All", lambda rows, request: rows, order=0)
    admin_site.add_tab(Listing, "none", "None", lambda rows, request: rows.none(), order=10)
    admin_site.add_action(
        Listing,
        "praise",
        "Praise",
        lambda model_admin, request, rows: HttpResponse(", ".join(str(row) for row in rows)),
        permission="catalog.change_listing",
    )
    page = admin_client.get(reverse("admin:catalog_listing_changelist"))
    text = page.content.decode()
    assert '<td class="field-margin num">6.9%</td>' in text
    assert [(tab["label"], tab["count"], tab["is_current"]) for tab in page.context["cl"].tabs] == [
        ("All", 1, True),
        ("None", 0, False),
    ]
    assert '<button class="btn primary" name="action" value="praise">Praise</button>' in text
    answer = admin_client.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "praise", "index": "0", "select_across": "0", "_selected_action": [Listing.objects.get().pk]},
    )
    assert answer.content.decode() == "Kettle"


def test_the_empty_site_opens_with_its_set_up(admin_client):
    page = admin_client.get("/")
    steps = page.context["steps"]
    assert page.context["panels"] is None
    assert [(step.number, step.is_done, step.is_next) for step in steps] == [
        (1, False, True),
        (2, False, False),
        (3, False, False),
        (4, False, False),
    ]
    assert 'href="/catalog/channel/add/"' in page.content.decode()


def test_a_done_step_is_ticked_and_the_dashboard_takes_over(admin_client):
    ChannelFactory()
    assert admin_client.get("/").context["panels"] is not None
    assert [step.is_done for step in admin_client.get("/set-up/").context["steps"]] == [True, False, False, False]


def test_search_names_a_product_once_and_tells_listings_of_one_title_apart(admin_client):
    product = ProductFactory(name="Walnut kettle")
    for code in ("EV-KET-RED", "EV-KET-BLUE"):
        ListingFactory(title="Kettle", sku=SkuFactory(code=code, product=product))
    groups = admin_client.get("/search/", {"q": "EV-KET"}).context["groups"]
    rows = {str(group["label"]): group["rows"] for group in groups}
    assert [row for _url, row, _line in rows["products"]] == [product]
    lines = [line for _url, _row, line in rows["listings"]]
    assert len(lines) == 2
    assert all(any(code in line for line in lines) for code in ("EV-KET-RED", "EV-KET-BLUE"))


def test_search_groups_its_hits_and_shows_only_what_one_may_see(client, operator, own_channel):
    ListingFactory(channel=own_channel, title="Walnut kettle")
    ListingFactory(title="Foreign kettle")
    client.force_login(operator)
    text = client.get("/search/", {"q": "kettle"}).content.decode()
    assert "Results for “kettle”" in text
    assert "Walnut kettle" in text
    assert "Foreign kettle" not in text
    assert "Nothing matches" in client.get("/search/", {"q": "<script>"}).content.decode()


@pytest.fixture
def own_channel():
    return ChannelFactory()


@pytest.fixture
def operator(own_channel):
    user = UserFactory()
    user.groups.add(Group.objects.get(name="Operator"))
    user.channels.add(own_channel)
    return user
