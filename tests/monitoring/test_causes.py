"""The words for why something is not known."""

from monitoring.causes import CAUSE_LABELS, SHORT_LABELS, cause_label, short_cause_label


def test_every_cause_fits_into_a_narrow_column():
    for cause in CAUSE_LABELS:
        assert len(short_cause_label(cause)) <= 24, cause


def test_only_known_causes_have_a_short_form():
    assert SHORT_LABELS.keys() <= CAUSE_LABELS.keys()


def test_an_unknown_cause_and_none_at_all():
    assert [cause_label("new-here"), short_cause_label("new-here")] == ["not read", "not read"]
    assert [cause_label(""), short_cause_label("")] == ["", ""]
