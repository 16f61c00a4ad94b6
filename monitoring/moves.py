"""What differs from what it was at a moment, for many listings at once: one statement, every listing looked at once."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import DateTimeField, QuerySet, Value

from catalog.database import AmountText
from catalog.models import Listing
from monitoring.models import Observation

_PRICES = ("live_price", "list_price")
# `changed` are the listings with what they say now. What a fact was comes from the row in force at the start, or, where
# that did not know it, from the first one since that does, so that a gap is no move. A fact that is not known now is
# not looked up. Materialised, so that each fact is looked up once, however often it is compared.
_COMPARED = """
CASE WHEN changed.{fact} IS NOT NULL THEN COALESCE((
  SELECT was.{fact} FROM {table} was
  WHERE was.listing_id = changed.id AND was.observed_at <= changed.start_at
  ORDER BY was.observed_at DESC LIMIT 1
), (
  SELECT later.{fact} FROM {table} later
  WHERE later.listing_id = changed.id AND later.observed_at > changed.start_at AND later.observed_at <= changed.end_at
  AND later.{fact} IS NOT NULL ORDER BY later.observed_at LIMIT 1
)) END AS was_{fact}"""
_STATEMENT = """
WITH changed (id, live_price, list_price, stock, start_at, end_at) AS MATERIALIZED ({listings}),
compared AS MATERIALIZED (
  SELECT changed.id, changed.live_price, changed.list_price, changed.stock, {compared} FROM changed
),
priced AS (
  SELECT id, stock, was_stock,
    CASE WHEN was_live_price IS NULL THEN list_price ELSE live_price END AS price,
    CASE WHEN was_live_price IS NULL THEN was_list_price ELSE was_live_price END AS was_price
  FROM compared
)
SELECT id,
  CASE WHEN was_price > 0 AND price <> was_price THEN {was_price} END,
  CASE WHEN was_price > 0 AND price <> was_price THEN {price} END,
  CASE WHEN stock <> was_stock THEN was_stock END,
  CASE WHEN stock <> was_stock THEN stock END
FROM priced WHERE (was_price > 0 AND price <> was_price) OR stock <> was_stock"""


class Moved(NamedTuple):
    """A listing of which the price or the stock differs from what it was; None for the one that does not.

    The price, text with four decimals, is the live one where both moments know it, otherwise the list price, so that
    the two are never mixed up.
    """

    listing_id: int
    was_price: str | None
    price: str | None
    was_stock: int | None
    stock: int | None

    @property
    def price_ratio(self) -> float:
        """By how much of the old price; only to sort by, since what is shown comes from the exact amounts."""
        return float(self.price or 0) / float(self.was_price or 1) - 1

    @property
    def stock_difference(self) -> int:
        """In units."""
        return (self.stock or 0) - (self.was_stock or 0)


def moved(listings: QuerySet[Listing], start: datetime, now: datetime, *, with_stock: bool = True) -> list[Moved]:
    """Those of the listings whose price or stock differs from the one in force at `start`; one statement.

    Looks only at listings with an observation since `start`; without the stock, in half the time.
    """
    changed = listings.filter(observed_at__gt=start, observed_at__lte=now).order_by()
    range_ = [Value(moment, DateTimeField()) for moment in (start, now)]
    inner, parameters = changed.values_list("pk", *_PRICES, "stock", *range_).query.sql_with_params()
    table = connection.ops.quote_name(Observation._meta.db_table)
    statement = _STATEMENT.format(
        listings=inner,
        compared=", ".join(
            [
                *(_COMPARED.format(fact=price, table=table) for price in _PRICES),
                _COMPARED.format(fact="stock", table=table) if with_stock else "CAST(NULL AS integer) AS was_stock",
            ]
        ),
        was_price=AmountText.of_column("was_price"),
        price=AmountText.of_column("price"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [Moved._make(row) for row in cursor.fetchall()]
