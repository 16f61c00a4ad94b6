"""manage.py backtest: a sales history and a template in, totals out."""

import csv
import gzip
import io
from datetime import date, timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.monitoring.planning.series import lumpy

START = date(2024, 1, 1)
ORIGIN = START + timedelta(days=169)


def sales(periods=200, count=60, *, seed=1):
    """Rows of a history; a day without sales has none."""
    demand = lumpy(count, periods, seed=seed)
    return [
        [f"S{series}", (START + timedelta(days=int(day))).isoformat(), int(demand[series, day])]
        for series, day in np.argwhere(demand > 0).tolist()
    ]


def months(count=60):
    rows = lumpy(count, 40, mean=20)
    return [
        [f"S{series}", f"{2021 + month // 12}-{month % 12 + 1:02}-01", int(rows[series, month])]
        for series, month in np.argwhere(rows > 0).tolist()
    ]


@pytest.fixture
def backtest(tmp_path):
    def run(history, template, *, name="demand.csv", frequency="D"):
        demand, rows, output = tmp_path / name, tmp_path / "rows.csv", tmp_path / "forecasts.csv"
        text = "\n".join(",".join(map(str, row)) for row in [["sku", "date", "quantity"], *history]).encode()
        demand.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        rows.write_text("\n".join(",".join(map(str, row)) for row in [["sku", "origin", "h"], *template]))
        out, err = io.StringIO(), io.StringIO()
        call_command(
            "backtest",
            f"--demand={demand}",
            f"--rows={rows}",
            f"--output={output}",
            f"--frequency={frequency}",
            stdout=out,
            stderr=err,
        )
        with output.open(newline="") as file:
            return list(csv.DictReader(file)), out.getvalue(), err.getvalue()

    return run


TEMPLATE = [[f"S{series}", ORIGIN, h] for series in (3, 1, 2) for h in (28, 7)]


@pytest.mark.parametrize("name", ["demand.csv", "demand.csv.gz"])
def test_each_row_of_the_template_gets_a_total_and_its_quantile(backtest, name):
    found, said, refused = backtest(sales(), TEMPLATE, name=name)
    assert [(row["sku"], row["origin"], row["h"]) for row in found] == [tuple(map(str, row)) for row in TEMPLATE]
    assert "6 of 6 rows forecast" in said
    assert refused == ""
    assert all(0 < float(row["mean"]) < float(row["q95"]) for row in found)
    # Totals, not pieces per day: four weeks hold about four times as much as one.
    assert all(
        2 < float(long["mean"]) / float(short["mean"]) < 8 for long, short in zip(found[::2], found[1::2], strict=True)
    )


def test_longer_horizons_hold_no_less_than_shorter_ones(backtest):
    template = [[f"S{series}", ORIGIN, h] for h in range(10, 0, -1) for series in range(60)]
    found = backtest(sales(), template)[0]
    for figure in ("mean", "q95"):
        by_sku = np.array([float(row[figure]) for row in found]).reshape(10, 60)[::-1]
        assert (np.diff(by_sku, axis=0) >= 0).all()


def test_sales_after_an_origin_change_no_forecast(backtest):
    history = sales()
    later = [[sku, day, 999] for sku, day, _quantity in history if day > ORIGIN.isoformat()]
    past = [row for row in history if row[1] <= ORIGIN.isoformat()]
    unborn = [[f"N{number}", (ORIGIN + timedelta(days=3)).isoformat(), 5] for number in range(50)]
    shifted = [
        [sku, (date.fromisoformat(day) + timedelta(days=2)).isoformat(), quantity] for sku, day, quantity in later
    ]
    expected = backtest(history, TEMPLATE)[0]
    for future in ([], later, shifted, [*unborn, *later]):
        assert backtest([*past, *future], TEMPLATE)[0] == expected


def test_origins_know_different_pasts(backtest):
    template = [["S1", ORIGIN - timedelta(days=days), 14] for days in (0, 28)]
    late, early = backtest(sales(), template)[0]
    assert late["mean"] != early["mean"]


@pytest.mark.parametrize("origin", ["2023-09-01", "2023-09"])
def test_months(backtest, origin):
    found, _said, refused = backtest(months(), [["S1", origin, 1], ["S1", origin, 6]], frequency="M")
    assert refused == ""
    assert 2 < float(found[1]["mean"]) / float(found[0]["mean"]) < 14


def test_a_month_is_not_known_before_its_last_day(backtest):
    template = [["S1", "2024-05-15", 1], ["S1", "2024-04-30", 1]]
    found, _said, refused = backtest(sales(), template, frequency="M")
    assert [row["origin"] for row in found] == ["2024-04-30"]
    assert "line 2: origin 2024-05-15: sales of this month are known beyond that day" in refused


def test_refused_rows_are_listed_with_line_and_reason(backtest):
    history = [*sales(), ["S1", "2024-01-01", -3], ["S1", "2024-02-30", 3]]
    template = [
        *TEMPLATE,
        ["X", ORIGIN, 7],
        ["S1", "soon", 7],
        ["S1", ORIGIN, "x"],
        ["S1", ORIGIN, 0],
        ["S1", START - timedelta(days=9), 7],
    ]
    found, said, refused = backtest(history, template)
    assert len(found) == 6
    assert "6 of 11 rows forecast" in said
    lines = len(history)
    assert f"line {lines}: negative" in refused
    assert f"line {lines + 1}: this is not a date" in refused
    for text in (
        "line 8: the history has no SKU X",
        "line 9: origin soon: this is not a date",
        "line 10: h x: this is not a whole number",
        "line 11: h 0: it is 1 to 366",
        "line 12: nothing of it was sold up to this origin",
    ):
        assert text in refused


def test_what_cannot_be_read_is_told(backtest, tmp_path):
    with pytest.raises(CommandError, match="no column quantity"):
        call_command("backtest", demand=_file(tmp_path, b"sku,date\n"), rows="r.csv", output="o.csv")
    with pytest.raises(CommandError, match="No such file"):
        call_command("backtest", demand="nowhere.csv", rows="r.csv", output="o.csv")
    with pytest.raises(CommandError, match="not text in UTF-8"):
        call_command("backtest", demand=_file(tmp_path, b"sku,date,quantity\n\xff\xfe,1"), rows="r.csv", output="o.csv")
    with pytest.raises(CommandError, match=r"d\.csv\.gz: Not a gzipped file"):
        call_command("backtest", demand=_file(tmp_path, b"sku", "d.csv.gz"), rows="r.csv", output="o.csv")
    with pytest.raises(CommandError, match="no sales"):
        backtest([], TEMPLATE)
    with pytest.raises(CommandError, match="No row"):
        backtest(sales(), [["X", ORIGIN, 7]])


def _file(folder, content, name="d.csv"):
    (folder / name).write_bytes(content)
    return str(folder / name)
