"""Forecasts of a sales history at past origins, to be compared with what was sold after them."""

import csv
import gzip
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from monitoring.planning.choosing import choose
from monitoring.planning.demand import Fault, MissingColumn, Sales, columns_of, day_number, month_number, read_sales
from monitoring.planning.forecasting import DAYS, MONTHS

LEVEL = 0.95
_MOST_PERIODS = {DAYS: 3 * 365, MONTHS: 120}  # before an origin that count
_LONGEST_HORIZON = {DAYS: 366, MONTHS: 24}
_SHOWN = 20  # refused rows


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the template, as it stands there."""

    line: int
    sku: str
    origin: str
    horizon: str


class Command(BaseCommand):
    help = (
        "Forecasts the total demand after past dates from a sales history, as it was known then: the mean and the "
        "95 % quantile for each row of a template."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demand", required=True, metavar="FILE", help="sku,date,quantity as .csv or .csv.gz")
        parser.add_argument(
            "--rows",
            required=True,
            metavar="TEMPLATE",
            help="sku,origin,h: the last date that is known, and how many days (or months) after it are summed",
        )
        parser.add_argument("--output", required=True, metavar="F", help="gets sku,origin,h,mean,q95")
        parser.add_argument("--frequency", choices=["D", "M"], default="D", help="days (D) or months (M) as periods")

    def handle(self, *args: Any, **options: Any) -> None:
        today, is_monthly = timezone.localdate(), options["frequency"] == "M"
        with _opened(options["demand"]) as file:
            try:
                sales, refused = read_sales(file, today=today, is_monthly=is_monthly)
            except MissingColumn as error:
                raise CommandError(f"{options['demand']}: {error}.") from None
        self._tell(options["demand"], [(each.line, each.fault.value) for each in refused])
        if not sales.codes:
            raise CommandError(f"{options['demand']} has no sales to forecast from.")
        with _opened(options["rows"]) as file:
            rows = _template(file, options["rows"])
        totals, faults = _totals(sales, rows, today=today)
        try:
            with open(options["output"], "w", encoding="utf-8", newline="") as output:
                writer = csv.writer(output, lineterminator="\n")
                writer.writerow(["sku", "origin", "h", "mean", "q95"])
                writer.writerows(
                    [row.sku, row.origin, row.horizon, *(f"{each:.6g}" for each in totals[row.line])]
                    for row in rows
                    if row.line in totals
                )
        except OSError as error:
            raise CommandError(f"{options['output']}: {error.strerror}") from None
        self._tell(options["rows"], sorted(faults.items()))
        self.stdout.write(f"{len(totals)} of {len(rows)} rows forecast into {options['output']}.")
        if not totals:
            raise CommandError(f"No row of {options['rows']} has a forecast.")

    def _tell(self, name: str, faults: list[tuple[int, str]]) -> None:
        for line, fault in faults[:_SHOWN]:
            self.stderr.write(f"{name}, line {line}: {fault}")
        if len(faults) > _SHOWN:
            self.stderr.write(f"{name}: {len(faults) - _SHOWN} more rows are refused.")


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    """The text of a file, whether it is compressed or not."""
    try:
        is_compressed = Path(name).suffix == ".gz"
        with (
            gzip.open(name, "rt", encoding="utf-8-sig", newline="")
            if is_compressed
            else open(name, encoding="utf-8-sig", newline="") as file
        ):
            yield file
    except (OSError, EOFError) as error:
        raise CommandError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not text in UTF-8.") from None
    except csv.Error as error:
        raise CommandError(f"{name} is no CSV file: {error}.") from None


def _template(file: TextIO, name: str) -> list[Row]:
    lines = csv.reader(file)
    try:
        at = columns_of(next(lines, []), ("sku", "origin", "h"))
    except MissingColumn as error:
        raise CommandError(f"{name}: {error}.") from None
    return [
        Row(lines.line_num, *(row[place].strip() if place < len(row) else "" for place in at)) for row in lines if row
    ]


def _totals(sales: Sales, rows: list[Row], *, today: date) -> tuple[dict[int, tuple[float, float]], dict[int, str]]:
    """By line of the template its mean and quantile, or why there are none. Each origin sees only what was before."""
    calendar = MONTHS if sales.is_monthly else DAYS
    places = {code: place for place, code in enumerate(sales.codes)}
    asked: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (origin, horizon): (line, place)
    faults: dict[int, str] = {}
    for row in rows:
        origin, horizon = _origin(sales, row.origin, today), _horizon(row.horizon, _LONGEST_HORIZON[calendar])
        if row.sku not in places:
            faults[row.line] = f"the history has no SKU {row.sku}"
        elif isinstance(origin, str):
            faults[row.line] = origin
        elif isinstance(horizon, str):
            faults[row.line] = horizon
        else:
            asked.setdefault((origin, horizon), []).append((row.line, places[row.sku]))
    found: dict[int, tuple[float, float]] = {}
    shorter: dict[tuple[int, int], tuple[float, float]] = {}  # (origin, place)
    for (origin, horizon), pairs in sorted(asked.items()):
        demand = sales.demand(origin, _MOST_PERIODS[calendar])
        # What has not begun to sell has no part in it: that it will is not known yet.
        begun = np.flatnonzero(~np.isnan(demand).all(axis=1))
        known = set(begun.tolist())
        wanted = [(line, place) for line, place in pairs if place in known]
        faults.update((line, "nothing of it was sold up to this origin") for line, place in pairs if place not in known)
        if not wanted:
            continue
        forecaster = choose(demand[begun], horizon, calendar)
        totals = forecaster.totals(demand[[place for _line, place in wanted]])
        means, quantiles = totals.mean.tolist(), totals.quantile(LEVEL).tolist()
        for (line, place), mean, quantile in zip(wanted, means, quantiles, strict=True):
            # Each horizon has methods of its own, and yet a longer one holds all that a shorter one does.
            below = shorter.get((origin, place), (0.0, 0.0))
            found[line] = shorter[origin, place] = (max(mean, below[0]), max(quantile, below[1]))
    return found, faults


def _origin(sales: Sales, text: str, today: date) -> int | str:
    """Its period, or why there is no forecast from there."""
    day = day_number(text, today, is_monthly=sales.is_monthly)
    if isinstance(day, Fault):
        return f"origin {text}: {day}"
    if not sales.is_monthly:
        return day
    month = month_number(date.fromordinal(day))
    if sales.last_day.get(month, day) > day:
        return f"origin {text}: sales of this month are known beyond that day, take its last day"
    return month


def _horizon(text: str, most: int) -> int | str:
    try:
        horizon = int(text)
    except ValueError:
        return f"h {text}: this is not a whole number"
    return horizon if 1 <= horizon <= most else f"h {text}: it is 1 to {most}"
