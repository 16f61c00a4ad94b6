"""Turnover and health."""

from typing import Any

import pytest

from monitoring.planning.health import WEIGHTS, cover_part, dead_share, health, turnover, usual_cover

NAN = float("nan")


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


def test_turnover():
    found = turnover([12_000, 100, 0], 90, [10_000, 0, 10])
    assert found.turns.tolist() == close([4.8667, NAN, 0])
    assert found.days.tolist() == close([75.0, NAN, float("inf")])
    with pytest.raises(ValueError, match="at least one day"):
        turnover(12_000, 0, 10_000)


def asked(**changes):
    least, most = usual_cover(9, 5)
    given: dict[str, Any] = {
        "stock_out_probability": 0.0824,
        "cover_days": 11.5,
        "least_cover_days": least,
        "most_cover_days": most,
        "turns": 12_000 * 365 / 90 / 10_000,
        "turns_target": 6,
        "dead_share": 0.1,
    }
    return health(**given | changes)


def test_health_score_and_its_parts():
    found = asked()
    assert found.score == pytest.approx(91.34, abs=0.005)
    assert (found.availability, found.cover, found.turnover, found.freshness) == close((0.9176, 1, 0.8111, 0.9))


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({"turns": NAN}, 100 * (0.35 * 0.9176 + 0.25 + 0.18) / 0.8),
        ({"cover_days": NAN, "stock_out_probability": NAN}, 100 * (0.2 * 0.811111 + 0.18) / 0.4),
        ({"turns": NAN, "cover_days": NAN, "stock_out_probability": NAN, "dead_share": NAN}, NAN),
        ({"turns": 60}, 100 * (0.35 * 0.9176 + 0.25 + 0.2 + 0.18)),
    ],
)
def test_parts_that_are_not_known_are_left_out(changes, score):
    assert asked(**changes).score == close(score)


@pytest.mark.parametrize(
    ("cover", "part"), [(11.5, 1), (9, 1), (74, 1), (4.5, 0.5), (0, 0), (111, 0.5), (148, 0), (500, 0), (NAN, NAN)]
)
def test_the_part_of_the_cover(cover, part):
    least, most = usual_cover(9, 5)
    assert (float(least), float(most)) == (9, 74)
    assert cover_part(cover, 9, 74) == close(part)


def test_without_lead_time_no_cover_is_too_short():
    assert cover_part(0, 0, 65) == 1


@pytest.mark.parametrize(
    ("last_sold", "unsold", "on_hand", "share"),
    [
        pytest.param(1, 0, 5, 0, id="sold yesterday"),
        pytest.param(90, 89, 5, 0, id="sold on the 90th day"),
        pytest.param(91, 90, 5, 1, id="for 90 days not sold"),
        pytest.param(200, 89, 5, NAN, id="not there for most of the time"),
        pytest.param(-1, 89, 5, NAN, id="new, and never sold"),
        pytest.param(-1, 0, 5, NAN, id="without any history"),
        pytest.param(-1, 90, 5, 1, id="for 90 days never sold"),
        pytest.param(1, 0, 0, NAN, id="nothing is there"),
        pytest.param(200, 199, -3, NAN, id="oversold"),
        pytest.param(200, 199, NAN, NAN, id="stock not known"),
    ],
)
def test_what_could_be_sold_for_90_days_and_was_not_is_dead(last_sold, unsold, on_hand, share):
    assert dead_share(last_sold, unsold, on_hand) == close(share)


def test_a_sku_that_could_not_be_sold_for_90_days_has_no_freshness_and_the_others_weigh_more():
    known, new = asked(dead_share=dead_share(-1, 90, 5)), asked(dead_share=dead_share(-1, 89, 5))
    assert (known.freshness, new.freshness) == close((0, NAN))
    assert new.score == close(known.score / (1 - WEIGHTS["freshness"]))
