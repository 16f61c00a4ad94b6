"""How a listing's figure came about, in one sentence."""

from django.utils.translation import gettext_lazy, pgettext_lazy

from catalog.stock.availability import Blocked, StepKind, Target
from config import formatting

BLOCKED_TEXTS = {
    Blocked.PAUSED: gettext_lazy("Paused: what the platform shows is left as it is."),
    Blocked.NOT_MAPPED: gettext_lazy("Not mapped: choose the SKU it sells, and its stock is sent from then on."),
    Blocked.SKU_INACTIVE: gettext_lazy("Its SKU is not active, so what the platform shows is left as it is."),
    Blocked.NOT_COUNTED: gettext_lazy(
        "Its stock was never counted here, so nothing is sent. Count it or enter a receipt."
    ),
    Blocked.LOCATION_LEFT: gettext_lazy("No warehouse feeds this location any more, so it is left to the shop."),
}
_STEP_TEXTS = {
    StepKind.AVAILABLE: gettext_lazy("%(units)s available"),
    StepKind.STOP_AT: gettext_lazy("sold out at %(figure)s → %(units)s"),
    StepKind.BUFFER: pgettext_lazy("continues '23 available'", " − %(figure)s buffer = %(units)s"),
    StepKind.FLOOR: gettext_lazy("never below 0 → %(units)s"),
    StepKind.SHARE: gettext_lazy("%(figure)s%% → %(units)s"),
    StepKind.CAP: gettext_lazy("cap %(figure)s → %(units)s"),
    StepKind.PACK: gettext_lazy("packs of %(figure)s → %(units)s"),
}


def explain(target: Target) -> str:
    """The arithmetic step by step ("23 available − 2 buffer = 21, 80% → 16"), or why the listing is left alone."""
    if target.blocked is not None:
        return str(BLOCKED_TEXTS[target.blocked])
    parts: list[str] = []
    for step in target.steps:
        figures = {"figure": formatting.count(step.figure), "units": formatting.count(step.units)}
        text = str(_STEP_TEXTS[step.kind]) % figures
        if step.kind is StepKind.BUFFER:
            parts[-1] += text
        else:
            parts.append(text)
    return formatting.joined(parts)
