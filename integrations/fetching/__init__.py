"""Reading listings from their platforms: a slice of the lane, a requested reading, a foreground pass."""

from integrations.fetching.passes import fetch_listings, fetch_slice, pass_over_channel
from integrations.fetching.summaries import FetchSummary, SliceSummary
from integrations.lanes.problem import Problem

__all__ = ["FetchSummary", "Problem", "SliceSummary", "fetch_listings", "fetch_slice", "pass_over_channel"]
