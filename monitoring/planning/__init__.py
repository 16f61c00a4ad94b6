"""Planning: demand, forecasts, safety stock, buying, moving and health, as pure functions over numpy arrays.

The array of demand that all of it reads is [series, periods], float32 or wider:
- a series is one SKU in one warehouse, a period one of the warehouse's local days (or a month, for sales that are known
  by month only); a day of 23 or 25 hours is one day;
- the last column is the last full period, yesterday, and columns have no dates of their own: `History.start` has;
- NaN is not known: before the SKU could first be sold, and days that opened without stock. 0 is that nothing was sold.

Large assortments come in chunks of series (at most `forecasting.CHUNK`), so that memory does not grow with them.
"""
