"""One whole pass over a channel in the foreground, and what such a pass would change."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from django.db.models import Q
from django.utils import timezone

from catalog.database import among
from catalog.models import Channel, Listing
from catalog.stock.availability import Target
from integrations.lanes.problem import Problem
from integrations.syncing import dirty, orders
from integrations.syncing.models import ListingSync
from integrations.syncing.pushing import push_slice
from integrations.syncing.wanted import wanted_of
