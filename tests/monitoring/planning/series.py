"""Made-up demand: pieces per day of SKUs that sell now and then, with a wholesale order here and there."""

import numpy as np


def lumpy(count=300, periods=200, *, seed=1, mean=1.5):
    """[series, periods]; about one series in five began to sell later."""
    random = np.random.default_rng(seed)
    rate = mean * np.exp(random.normal(0, 1, (count, 1)))
    demand = random.negative_binomial(0.4, 0.4 / (0.4 + rate), (count, periods)).astype(np.float32)
    begin = np.where(random.random(count) < 0.2, random.integers(0, periods // 2, count), 0)
    demand[np.arange(periods) < begin[:, np.newaxis]] = np.nan
    return demand
