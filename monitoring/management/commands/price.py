"""After-coupon prices in the terminal: of a listing, explained, or of requests in the exchange format."""

import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from catalog.costs import costs_of
from catalog.models import Listing
from catalog.pricing.exchange import answer
from catalog.promotions.forms import words_of
from catalog.promotions.prices import price_of, prices_by_tag, unit_prices_of
from catalog.promotions.requests import shops_of
from catalog.promotions.words import Words
from config.formatting import iso_moment
from monitoring.models import PriceQuote
from monitoring.services.prices import replay_differences

_MOST_UNITS = 1_000_000
_REPLAYED_AT_ONCE = 1_000
_SHOWN = 20


class Command(BaseCommand):
    help = "After-coupon price of a listing with its explanation; answers to requests as JSON; stored quotes replayed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listing", type=int, metavar="ID", help="the listing")
        parser.add_argument("--quantity", type=int, default=1, help="units bought together (1)")
        parser.add_argument("--buyer-tags", default="", help="kinds of buyers, with commas: what the buyer is (none)")
        parser.add_argument("--at", help="the moment, as ISO 8601 with offset (now)")
        parser.add_argument(
            "--requests",
            metavar="FILE",
            help="one request or a list of requests of the pricing contract as JSON; - reads standard input",
        )

        parser.add_argument(
            "--replay", action="store_true", help="work every stored quote out again; exits with 1 where one differs"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["requests"] is not None:
            self.stdout.write(json.dumps(answer(_read(options["requests"])), ensure_ascii=False))
        elif options["listing"] is not None:
            self._explain(options["listing"], options["quantity"], options["at"], words_of(options["buyer_tags"]))
        elif options["replay"]:
            self._replay()
        else:
            raise CommandError("Say which price: --listing ID, --requests FILE, or --replay.")

    def _replay(self) -> None:
        quotes = PriceQuote.objects.order_by("pk")
        different = replay_differences(quotes.iterator(chunk_size=_REPLAYED_AT_ONCE))
        self.stdout.write(f"{quotes.count()} stored quotes worked out again, {len(different)} differences.")
        if different:
            shown = ", ".join(map(str, different[:_SHOWN]))
            raise CommandError(f"These quotes differ: {shown}{', …' if len(different) > _SHOWN else ''}")

    def _explain(self, listing_id: int, quantity: int, at_text: str | None, tags: list[str]) -> None:
        if not 1 <= quantity <= _MOST_UNITS:
            raise CommandError(f"The quantity is 1 to {_MOST_UNITS:,}.")
        listing = Listing.objects.current().filter(pk=listing_id).select_related("channel", "sku").first()
        if listing is None:
            raise CommandError(f"There is no listing {listing_id}.")
        at = _moment(at_text) if at_text else timezone.now()
        shop, costs = shops_of([listing.channel])[listing.channel_id], costs_of([listing], at=at)[listing.pk]
        price = price_of(listing, shop, costs, at=at, quantity=quantity, buyer=frozenset(tags))
        words = Words(price.request, shop.names)
        self.stdout.write(f"{listing} · {listing.channel} · {iso_moment(at)}")
        if price.quote.total is None:
            self.stdout.write(words.no_price(price.quote))
            return
        for place, step in enumerate(price.quote.steps, 1):
            self.stdout.write(f"{place}. {words.name(step.id)} −{words.money(step.discount)} {words.step(step)}")
        self.stdout.write(f"The buyer pays {words.money(price.goods)} for {quantity}.")
        for tag, each in prices_by_tag(listing, shop, costs, at=at, quantity=quantity).items():
            if tag and tag not in tags and each.goods is not None:
                self.stdout.write(f"With {tag}: {words.money(each.goods)}.")
        units = unit_prices_of(price.request, stock=listing.stock)
        if units.best is not None and units.best.quantity > 1:
            self.stdout.write(
                f"Best per unit: {words.money(units.best.per_unit)} when {units.best.quantity} are bought."
            )
        if price.margin is None:
            missing = ", ".join(price.costs.unknown)
            self.stdout.write(f"Margin: cannot tell, not known: {missing}.")
        else:
            self.stdout.write(f"Margin {words.money(price.margin.left)}, break-even {words.money(price.break_even)}.")
        for name, reason in price.quote.not_used.items():
            self.stdout.write(f"- {words.name(name)}: {words.not_used(name, reason)}")


def _read(name: str) -> Any:
    try:
        if name == "-":
            return _parsed(sys.stdin)
        with open(name, encoding="utf-8") as file:
            return _parsed(file)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from None


def _parsed(file: TextIO) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise CommandError(f"This is not JSON: {error}") from None


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"“{text}” is not a time, for example 2026-11-21T12:00:00+08:00.") from None
    if at.tzinfo is None:
        raise CommandError(f"“{text}” has no offset, for example 2026-11-21T12:00:00+08:00.")
    return at
