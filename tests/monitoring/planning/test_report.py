"""The report card."""

import numpy as np
import pytest

from monitoring.planning.forecasting import DAYS
from monitoring.planning.report import OURS, SEASONAL_NAIVE, TEXTBOOK, accuracy, report_card, scaled_errors
from tests.monitoring.planning.series import lumpy

NAN = float("nan")


def test_accuracy_by_hand():
    actual, mean, quantile = np.array([[10, 0], [5, NAN]]), [[8, 1], [9, 9]], [[9, 2], [9, 9]]
    found = accuracy(actual, mean, quantile, level=0.9, of=[0, 0])
    assert found.wape.tolist() == pytest.approx([7 / 15])
    assert found.bias.tolist() == pytest.approx([3 / 15])
    assert found.coverage.tolist() == pytest.approx([2 / 3])
    assert found.quantile_loss.tolist() == pytest.approx([(0.9 * 1 + 0.1 * 2 + 0.1 * 4) / 15])
    assert found.totals.tolist() == [3]
    each = accuracy(actual, mean, quantile, level=0.9, of=[0, 1])
    assert each.wape.tolist() == pytest.approx([0.3, 0.8])


def test_nothing_sold_has_no_relative_error():
    found = accuracy([[0.0]], [[2.0]], [[3.0]], level=0.95, of=[0])
    assert np.isnan(found.wape).all()
    assert found.coverage.tolist() == [1]


def test_card_stands_beside_the_plain_ways():
    card = report_card(lumpy(400, 220), 14, DAYS, np.arange(400) % 2)
    ours, plain, textbook = (card.everything[name] for name in (OURS, SEASONAL_NAIVE, TEXTBOOK))
    assert ours.wape < plain.wape
    assert abs(ours.coverage - 0.95) < 0.03
    assert textbook.coverage < ours.coverage
    assert ours.quantile_loss < textbook.quantile_loss
    assert np.isnan(plain.coverage).all()
    assert (len(card.series[OURS].wape), len(card.groups[OURS].wape)) == (400, 2)


def test_card_judges_by_what_was_known_at_each_origin():
    demand = lumpy(300, 200)
    changed = demand.copy()
    changed[:, -7:] *= 9  # seen by the last origin's totals only, and by no forecast
    before, after = (report_card(each, 14, DAYS).everything[OURS] for each in (demand, changed))
    assert before.totals == after.totals
    assert after.bias < before.bias


def test_a_history_too_short_for_any_origin_has_an_empty_card():
    card = report_card(lumpy(5, 30), 14, DAYS)
    assert card.everything[OURS].totals.tolist() == [0]
    assert np.isnan(card.everything[OURS].wape).all()


def test_scaled_errors():
    history, actual, forecast = [2, 4, 3, 3], [5, 1], [3, 2]
    assert scaled_errors(history, actual, forecast) == pytest.approx((1.5 / 1, np.sqrt(2.5 / (5 / 3))))
    assert np.isnan(scaled_errors([1, 1], [2], [2])).all()
