"""`manage.py sync`: a pass in the foreground, and what it would do."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Channel, Listing, Order, StockLevel, StockMovement, StockRule
from integrations.models import ChannelSync, Credential, ListingSync, SyncRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(open_shop, simulator):
    """A shop that has orders booked which are made from now on, and listings that are sent for the first time."""
    found = open_shop("taobao", 3)
    Channel.objects.filter(pk=found.channel.pk).update(orders_since=simulator.now() - timedelta(seconds=1))
    return found


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_pass_books_orders_sends_targets_and_reads_them_back(shop, capsys):
    shop.subject.order(shop.rows[0], 1)
    shop.count(-2, 1)
    wanted = [StockLevel.objects.get(sku=sku).available for sku in shop.skus]
    call_command("sync", "--json")
    told = last_line(capsys)
    assert (told["orders"], told["movements"], told["failed"], told["channels"][0]["problems"]) == (1, 1, 0, [])
    assert told["sent"] >= 1
    assert [shop.shown(index) for index in range(3)] == [wanted[0] - 1, wanted[1], wanted[2]]
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"in-sync"}


def test_a_second_pass_has_nothing_to_do_and_a_full_one_reads_everything_back(shop, capsys):
    call_command("sync")
    call_command("sync", "--json")
    told = last_line(capsys)
    assert (told["sent"], told["looked"], told["movements"]) == (0, 0, 0)
    shop.subject.move_stock(shop.rows[2], 77)
    call_command("sync", "--full", "--channel", shop.channel.name, "--json")
    told = last_line(capsys)
    assert told["looked"] >= 3
    assert shop.shown(2) == StockLevel.objects.get(sku=shop.skus[2]).available
    run = SyncRun.objects.get(kind="full")
    assert run.ended_at is not None


def test_a_dry_run_tells_each_change_with_its_reason_and_writes_nothing(shop, capsys, simulator):
    call_command("sync")
    capsys.readouterr()
    shop.subject.order(shop.rows[1], 1)
    StockRule.objects.create(channel=shop.channel, buffer=2)
    simulator.clear_ledger()
    before = list(ListingSync.objects.order_by("pk").values()), list(ChannelSync.objects.values())
    call_command("sync", "--dry-run", "--json")
    *lines, told = capsys.readouterr().out.splitlines()
    shown = shop.shown()
    name = str(Listing.objects.get(sku=shop.skus[0]))
    assert f"{shop.channel}: {name}: {shown} -> {shown - 2} ({shown} available − 2 buffer = {shown - 2})" in lines
    assert lines[-1] == f"{shop.channel}: 3 would change, 0 would not, 0 are left alone"
    [first, *_others] = json.loads(told)["changes"]
    assert (first["now"], first["will_be"]) == (shown, shown - 2)
    assert simulator.ledger() == []
    assert (list(ListingSync.objects.order_by("pk").values()), list(ChannelSync.objects.values())) == before
    assert not Order.objects.exists()
    assert not StockMovement.objects.filter(source="order").exists()


def test_what_is_not_known_to_show_anything_is_told_so(open_shop, capsys):
    shop = open_shop("shopify")
    call_command("sync", "--dry-run")
    assert f": ? -> {shop.shown()} (" in capsys.readouterr().out


def test_a_channel_whose_sync_is_off_can_be_looked_at_only(shop, capsys):
    ChannelSync.objects.update(is_on=False)
    call_command("sync")
    assert "Sync is on for no channel." in capsys.readouterr().out
    call_command("sync", "--channel", shop.channel.name, "--dry-run")
    assert f"{shop.channel}: " in capsys.readouterr().out
    with pytest.raises(CommandError, match="is off"):
        call_command("sync", "--channel", shop.channel.name)
    with pytest.raises(CommandError, match="There is no channel named “Shop”"):
        call_command("sync", "--channel", "Shop")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_paused": True, "pause_reason": "stocktaking"}, "stocktaking"),
        ({"is_confirmed": False}, "nobody has applied a dry run"),
    ],
)
def test_a_channel_that_is_not_written_has_its_orders_read_and_says_why(shop, capsys, changes, reason):
    ChannelSync.objects.update(**changes)
    shop.subject.order(shop.rows[0], 1)
    shop.count(-3)
    call_command("sync", "--full", "--json")
    out, err = capsys.readouterr()
    told = json.loads(out.splitlines()[-1])
    assert (told["orders"], told["sent"]) == (1, 0)
    assert reason in err
    assert not SyncRun.objects.exists()


def test_a_problem_is_one_plain_line_and_an_exit_code(shop, capsys):
    Credential.objects.update(app_secret="wrong")
    with pytest.raises(SystemExit) as ended:
        call_command("sync", "--json")
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert [line for line in err.splitlines() if line.startswith(f"{shop.channel}: ")]
    assert "Traceback" not in err + out
    assert "wrong" not in out
    assert json.loads(out.splitlines()[-1])["channels"][0]["problems"][0]["kind"] == "fatal"
