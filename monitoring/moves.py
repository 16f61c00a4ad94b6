"""What differs from what it was at a moment, for many listings at once: one statement, every listing looked at once."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import DateTimeField, OuterRef, QuerySet, Subquery, Value

from catalog.database import amount_text
from catalog.models import Listing
from monitoring.models import Observation

_FACTS = ("live_price", "list_price", "stock")
# `changed` are the listings with what they say now. What a fact was comes from the row in force at the start, or, where
# that did not know it, from the first one since that does, so that a gap is no move. A fact that is not known now is not
# looked up. Materialised, so that each of these is looked up once, however often it is compared.
_COMPARED = """
CASE WHEN changed.{fact} IS NOT NULL THEN COALESCE(was.{fact}, (
  SELECT later.{fact} FROM {table} later
  WHERE later.listing_id = changed.id AND later.observed_at > changed.start_at AND later.observed_at <= changed.end_at
  AND later.{fact} IS NOT NULL ORDER BY later.observed_at LIMIT 1
)) END AS was_{fact}"""
_STATEMENT = """
WITH changed (id, live_price, list_price, stock, start_at, end_at, was_at) AS MATERIALIZED ({listings}),
compared AS MATERIALIZED (
  SELECT changed.id, changed.live_price, changed.list_price, changed.stock, {compared}
  FROM changed LEFT JOIN {table} was ON was.listing_id = changed.id AND was.observed_at = changed.was_at
),
priced AS (
  SELECT id, stock, was_stock,
    CASE WHEN was_live_price IS NULL THEN list_price ELSE live_price END AS price,
    CASE WHEN was_live_price IS NULL THEN was_list_price ELSE was_live_price END AS was_price
  FROM compared
)
SELECT id, {was_price}, {price}, was_stock, stock FROM priced
WHERE (was_price > 0 AND price <> was_price) OR stock <> was_stock ORDER BY id"""


class Moved(NamedTuple):
    """A listing of which the price or the stock differs from what it was; amounts as text with four decimals.

    The price is the live one where both moments know it, otherwise the list price, so that they are never mixed up.
    """

    listing_id: int
    was_price: str | None
    price: str | None
    was_stock: int | None
    stock: int | None

    @property
    def price_ratio(self) -> float:
        """By how much of the old price, only to sort by; 0 when the price did not move, or there is none to tell."""
        if self.was_price is None or self.price is None:
            return 0.0
        was = float(self.was_price)
        return float(self.price) / was - 1 if was > 0 else 0.0

    @property
    def stock_difference(self) -> int:
        """In units; 0 when the stock did not move, or there is none to tell."""
        return 0 if self.was_stock is None or self.stock is None else self.stock - self.was_stock


def moved(listings: QuerySet[Listing], start: datetime, now: datetime) -> list[Moved]:
    """Those of the listings whose price or stock differs from the one in force at `start`, by id; one statement.

    Looks only at listings with an observation since `start`.
    """
    in_force = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    changed = listings.filter(observed_at__gt=start, observed_at__lte=now).order_by()
    inner, parameters = changed.values_list(
        "pk",
        *_FACTS,
        Value(start, DateTimeField()),
        Value(now, DateTimeField()),
        Subquery(in_force.values("observed_at")[:1]),
    ).query.sql_with_params()
    table = connection.ops.quote_name(Observation._meta.db_table)
    statement = _STATEMENT.format(
        listings=inner,
        compared=", ".join(_COMPARED.format(fact=fact, table=table) for fact in _FACTS),
        table=table,
        was_price=amount_text("was_price"),
        price=amount_text("price"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [Moved._make(row) for row in cursor.fetchall()]
