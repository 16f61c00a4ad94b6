"""The audit log: read, never written here."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.audit_text import action_label, kind_label, readable_changes
from catalog.models import AuditEvent
from config import formatting
from config.admin_site import add_menu_item
from config.model_admin import FrameModelAdmin, ReadOnly, person

_LOGGED_KINDS = (
    "catalog.apikey",
    "catalog.channel",
    "catalog.listing",
    "catalog.product",
    "catalog.sku",
    "catalog.stocklevel",
    "catalog.stockrule",
    "catalog.supplier",
    "catalog.transfer",
    "catalog.user",
    "catalog.warehouse",
    "auth.group",
    "monitoring.threshold",
    "monitoring.alert",
    "monitoring.target",
    "monitoring.delivery",
)


class KindFilter(SimpleListFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [(kind, kind_label(kind)) for kind in _LOGGED_KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(object_type=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, FrameModelAdmin):
    list_display = ["time", "who", "deed", "about", "what_changed"]
    list_display_links = None
    list_select_related = ["actor"]
    list_filter = [KindFilter]
    search_fields = ["object_name", "object_id"]
    search_help_text = _("Name or id of the object")
    empty_title = _("Nothing was changed yet")
    list_line = _("Who changed what, newest first")
    sortable_by = ()

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The column of changes depends on the person: some values are not for everybody."""
        changes = _changes_column(request)
        return [changes if name == "what_changed" else name for name in super().get_list_display(request)]

    @admin.display(description=_("time"))
    def time(self, event: AuditEvent) -> str:
        return formatting.iso_moment(event.at)

    @admin.display(description=_("who"))
    def who(self, event: AuditEvent) -> str:
        return str(event.actor or gettext("the system"))

    @admin.display(description=_("action"))
    def deed(self, event: AuditEvent) -> str:
        return action_label(event)

    @admin.display(description=_("object"))
    def about(self, event: AuditEvent) -> SafeString:
        return format_html("{}<small>{}</small>", event.object_name, capfirst(kind_label(event.object_type)))

    def what_changed(self, event: AuditEvent) -> str:
        """Stands for the column in `list_display`; `get_list_display` puts the person's own in its place."""
        return ""


def _changes_column(request: HttpRequest) -> Any:
    @admin.display(description=_("changes"), empty_value="")
    def changes(event: AuditEvent) -> SafeString:
        return format_html_join("", '<span class="change">{}: {} → {}</span>', readable_changes(event, person(request)))

    return changes


add_menu_item(
    "settings", _("Audit log"), "admin:catalog_auditevent_changelist", permission="catalog.view_auditevent", order=80
)
