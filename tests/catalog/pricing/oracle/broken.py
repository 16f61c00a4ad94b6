"""What is wrong with requests and promotions now and then."""

AT = "2026-11-11T20:00:00+08:00"

# Fields written over a promotion that is whole.
BROKEN = [
    {"layer": "nowhere"},
    {"kind": "gift"},
    {"value": None, "tiers": None},
    {"tiers": []},
    {"measure": "amount", "tiers": [[200, 5], [100, 6]]},
    {"measure": "amount", "tiers": [[100, 5], [100, 6]]},
    {"measure": "weight"},
    {"measure": "none", "tiers": [[100, 5]]},
    {"kind": "percent_off", "value": 0, "tiers": None, "measure": "none"},
    {"kind": "percent_off", "value": 10001, "tiers": None, "measure": "none"},
    {"kind": "amount_off", "value": 0, "tiers": None, "measure": "none"},
    {"kind": "amount_off", "value": -5, "tiers": None, "measure": "none"},
    {"kind": "fixed_price", "value": -1, "tiers": None, "measure": "none"},
    {"per": "dozen"},
    {"repeat": True, "tiers": None, "measure": "none", "value": 100},
    {"kind": "nth_piece", "of": 2, "take": 3, "value": 5000, "tiers": None, "measure": "none"},
    {"kind": "nth_piece", "of": 2, "take": 0, "value": 5000, "tiers": None, "measure": "none"},
    {"kind": "bundle_price", "of": 0, "value": 5000, "tiers": None, "measure": "none"},
    {"kind": "bundle_price", "of": 2, "take": 3, "value": 5000, "tiers": None, "measure": "none"},
    {"max_discount": 0},
    {"max_units": 0},
    {"max_times": -1},
    {"measure_over": "shop"},
    {"measure_over": "line", "max_discount": 5},
    {"measure_over": "item", "max_units": 1},
    {"measure_over": "line", "measure_lines": "basket"},
    {"layer": "shipping", "kind": "fixed_price", "value": 5, "tiers": None, "measure": "none"},
    {"threshold_base": "cost"},
    {"effect_base": "cost"},
    {"weight_base": "cost"},
    {"start": AT, "end": AT},
    {"start": "2026-11-01T00:00:00"},
    {"end": "2026-11-30T00:00:00"},
]


def refuse(rng, request):
    """Makes the request one that nobody can price."""
    line = rng.choice(request["lines"])
    promotion = rng.choice(request["promotions"])
    rng.choice(
        [
            lambda: request.update(currency="ZZZ"),
            lambda: request.update(lines=[]),
            lambda: request.update(at="2026-11-11T20:00:00"),
            lambda: request.update(shipping=-1),
            lambda: line.update(qty=0),
            lambda: line.update(list=-1),
            lambda: request["lines"].append(dict(line)),
            lambda: request["promotions"].append(dict(promotion)),
        ]
    )()
