"""After-coupon prices, exact to the minor unit and explained. Pure: no database, no clock, no floats."""
