"""What is shown of a target: whether its messages arrive, what waits, and as much of its address as may be seen."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.fields import LostSecret
from config.admin_site import Badge
from integrations.notifying.problems import explain, is_limit
from integrations.notifying.targets import KINDS
from integrations.state import masked
from monitoring.models import Delivery, Notification, Route, Target
from monitoring.services.notifying import WAITING

Status = Delivery.Status
# Messages whose news a person may send again.
UNSENT = Q(status__in=[Status.FAILED, Status.UNKNOWN], is_test=False)


def target_badge(target: Any, now: datetime) -> Badge:
    """Whether messages to the target arrive, as far as we know. Asks the database nothing when `with_state` did."""
    if not target.is_active:
        return Badge("muted", _("Inactive"))
    if isinstance(target.address, LostSecret) or isinstance(target.secret, LostSecret):
        return Badge("critical", _("Key missing"))
    if target.held_cause:
        explanation = explain(target.held_cause)
        if explanation.severity == "critical":
            return Badge("critical", _("Does not work"))
        is_held = target.held_until is not None and target.held_until > now
        if is_held and is_limit(target.held_cause):
            return Badge("info", _("Limited"))
        if is_held and not target.last_was_test:
            return Badge("warning", _("Trying again"))
    if target.last_status == Status.FAILED:
        return Badge("critical", _("Last message failed"))
    if target.last_status == Status.UNKNOWN:
        return Badge("unknown", _("Last message not known"))
    if not target.route_count:
        return Badge("warning", _("No route"))
    return Badge("ok", _("Works")) if target.last_sent_at else Badge("unknown", _("Not tried yet"))


def with_state(targets: QuerySet[Target]) -> QuerySet[Any]:
    """Adds what the list and the page show.

    `route_count`, `waiting_count`, `unsent_count`, `last_sent_at`; of the last message that we are done with
    `last_status` and `last_was_test`.
    """

    def counted(rows: QuerySet[Any]) -> Coalesce:
        counts = rows.filter(target=OuterRef("pk")).order_by().values("target").annotate(count=Count("pk"))
        return Coalesce(Subquery(counts.values("count")), 0)

    last = done_with(Delivery.objects.filter(target=OuterRef("pk")))
    sent = Delivery.objects.filter(target=OuterRef("pk"), status=Status.SENT).order_by().values("target")
    return targets.annotate(
        route_count=counted(Route.objects.all()),
        waiting_count=counted(Notification.objects.filter(WAITING)),
        unsent_count=counted(Delivery.objects.filter(UNSENT)),
        last_sent_at=Subquery(sent.annotate(last=Max("sent_at")).values("last")),
        last_status=Subquery(last.values("status")[:1]),
        last_was_test=Subquery(last.values("is_test")[:1]),
    )


def done_with(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those that nothing more comes of, newest first."""
    return deliveries.filter(status__in=[Status.SENT, Status.FAILED, Status.UNKNOWN]).order_by("-created_at", "-pk")


def state_of(target: Target) -> Any:
    return with_state(Target.objects.filter(pk=target.pk)).get()


def shown_address(target: Target) -> str:
    """The address as far as it may be seen: a robot's by its host and the end of its token."""
    if isinstance(target.address, LostSecret):
        return gettext("cannot be decrypted")
    if not KINDS[target.kind].is_address_secret:
        return target.address
    return masked(target.address) if target.address else ""
