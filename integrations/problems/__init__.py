"""What went wrong on a channel, in sentences: what happened, then what to do, and which button does it.

What differs between platforms is named as their settings are: the sentences are the same for all.
"""

from integrations.problems.explaining import NAMED_IN_DETAIL, PROBLEMS, Explanation, explain, sentence
from integrations.problems.kinds import Help, Kind
from integrations.problems.of_channels import CURRENCY_DIFFERS

__all__ = ["CURRENCY_DIFFERS", "NAMED_IN_DETAIL", "PROBLEMS", "Explanation", "Help", "Kind", "explain", "sentence"]
