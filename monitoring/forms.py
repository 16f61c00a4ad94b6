"""What people fill in about alerts."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, User
from config.formatting import moment
from monitoring.models import Alert

_TOMORROW_HOUR = 9
_LONGEST_SNOOZE = timedelta(days=90)


class SnoozeForm(forms.Form):
    """Until when alerts stay quiet; times are those of the site."""

    choice = forms.ChoiceField(label=_("snooze"), widget=forms.RadioSelect, initial="1h")
    until = forms.DateTimeField(
        label=_("time"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": _("Enter a date and a time, for example 2026-11-30 09:00.")},
    )

    def __init__(self, data: Any = None, *, now: datetime) -> None:
        super().__init__(data)
        self.now = now
        tomorrow = timezone.localtime(now) + timedelta(days=1)
        self._ends = {
            "1h": now + timedelta(hours=1),
            "4h": now + timedelta(hours=4),
            "tomorrow": tomorrow.replace(hour=_TOMORROW_HOUR, minute=0, second=0, microsecond=0),
        }
        hours = {name: ngettext("%d hour", "%d hours", number) % number for name, number in (("1h", 1), ("4h", 4))}
        self.fields["choice"].choices = [  # type: ignore[attr-defined]
            *((name, f"{label} ({self._until_text(name)})") for name, label in hours.items()),
            ("tomorrow", gettext("until tomorrow 9:00")),
            ("time", gettext("until a time of your choice:")),
        ]
        self.fields["until"].widget.attrs["aria-label"] = gettext("Snooze until")

    def _until_text(self, name: str) -> str:
        return gettext("until %(time)s") % {"time": moment(self._ends[name])}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("choice") == "time" and "until" in cleaned:
            until = cleaned["until"]
            if until is None:
                self.add_error("until", gettext("Enter a date and a time, for example 2026-11-30 09:00."))
            elif until <= self.now:
                self.add_error("until", gettext("This time is over. Choose one that is still to come."))
            elif until > self.now + _LONGEST_SNOOZE:
                self.add_error("until", gettext("An alert can be snoozed for 90 days at most."))
        return cleaned

    @property
    def ends_at(self) -> datetime:
        """Of a valid form."""
        choice: str = self.cleaned_data["choice"]
        return self._ends[choice] if choice in self._ends else self.cleaned_data["until"]


class HandlingForm(forms.Form):
    """Who takes care of an alert, and a line to add to its note."""

    owner = forms.ModelChoiceField(label=_("Owner"), queryset=None, required=False, empty_label=_("nobody"))
    note = forms.CharField(
        label=_("Add a note"), required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, data: Any = None, *, alert: Alert) -> None:
        super().__init__(data, initial={"owner": alert.owner_id})
        owner: Any = self.fields["owner"]
        owner.queryset = staff_who_see(alert.channel, also=alert.owner_id)
        owner.label_from_instance = lambda user: user.get_full_name() or user.get_username()


def staff_who_see(channel: Channel, also: int | None = None) -> QuerySet[User]:
    """The people who may work on the channel's alerts, and the person of that id."""
    sees_all = Permission.objects.filter(content_type__app_label="catalog", codename="view_all_channels")
    sees = (
        Q(is_superuser=True)
        | Q(channels=channel)
        | Q(groups__permissions__in=sees_all)
        | Q(user_permissions__in=sees_all)
    )
    ids = User.objects.filter(sees, is_active=True, is_staff=True).order_by().values("pk")
    return User.objects.filter(Q(pk__in=ids) | Q(pk=also)).order_by("username")
