"""After-coupon prices, exact to the minor unit and explained. Pure: no database, no clock, no floats.

A request (`model`) comes in, as JSON by way of `exchange`. `quoting` sets aside what does not apply (`validity`), makes
a `basket` of the rest under a platform's rules (`rulesets`), and lets `search` find the plan that the buyer ends up
with: it tries promotions at their turn (`evaluation`, `effects`, `apportionment`), keeps those apart that cannot stand
together (`conflicts`), and leaves out what cannot win (`bounds`). `unit_prices`, `breakeven` and `bulk` build on that.
"""
