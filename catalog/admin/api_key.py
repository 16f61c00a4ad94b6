"""API keys: made, shown once, and revoked."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from catalog.api_keys import revoke
from catalog.fields import cipher
from catalog.models import ApiKey, User
from config import formatting
from config.admin_site import add_action, add_menu_item
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

# Where a new key waits, encrypted, for the one page that shows it.
_SESSION_KEY = "new_api_key"


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        label=_("May read"), choices=ApiKey.Scope.choices, widget=forms.CheckboxSelectMultiple
    )
    expires_at = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("Empty: it works until it is revoked."),
    )

    def clean_expires_at(self) -> datetime | None:
        """The end of that day, as people mean it."""
        last_day = self.cleaned_data["expires_at"]
        if last_day is None:
            return None
        if last_day < timezone.localdate():
            raise ValidationError(_("This day is over."))
        return timezone.make_aware(datetime.combine(last_day + timedelta(days=1), time()))


@admin.register(ApiKey)
class ApiKeyAdmin(FrameModelAdmin):
    """A key is never changed: another purpose gets another key, and the old one is revoked."""

    form = ApiKeyForm
    fields = ["name", "user", "scopes", "expires_at"]
    list_display = ["key_name", "acts_for", "reads", "state", "used"]
    list_display_links = None
    list_select_related = ["user"]
    search_fields = ["name", "prefix"]
    search_help_text = _("Name or beginning of the key")
    list_line = _("Programs that read our data by /api/v1/")
    empty_text = _("A key lets another program, such as the ERP, read products, listings and alerts.")
    sortable_by = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        """Whoever could make a key for another person would read what that person reads."""
        choices = super().get_field_queryset(db, db_field, request)
        if db_field.name == "user":
            choices = User.objects.filter(is_active=True).order_by("username")
            if not request.user.is_superuser:
                choices = choices.filter(pk=person(request).pk)
        return choices

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        token = obj.issue()
        super().save_model(request, obj, form, change)
        request.session[_SESSION_KEY] = [obj.pk, cipher().encrypt(token.encode()).decode()]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:catalog_apikey_new"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.new_view)
        return [path("new/", view, name="catalog_apikey_new"), *super().get_urls()]

    @method_decorator(never_cache)
    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Shows the key that was just made; looking at it takes it out of the session."""
        pk, encrypted = request.session.pop(_SESSION_KEY, (0, ""))
        key = self.get_queryset(request).filter(pk=pk).first()
        if key is None:
            text = gettext("A key is shown once. If it was not copied, revoke it and add another one.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(reverse("admin:catalog_apikey_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Added “%(name)s”") % {"name": key},
            "token": cipher().decrypt(encrypted.encode()).decode(),
            "address": request.build_absolute_uri("/api/v1/products/"),
        }
        return TemplateResponse(request, "catalog/new_api_key.html", context)

    @admin.display(description=_("API key"))
    def key_name(self, key: ApiKey) -> SafeString:
        return format_html("<strong>{}</strong><small><code>{}…</code></small>", key.name, key.prefix)

    @admin.display(description=_("acts for"))
    def acts_for(self, key: ApiKey) -> str:
        return str(key.user)

    @admin.display(description=_("may read"))
    def reads(self, key: ApiKey) -> str:
        return ", ".join(str(ApiKey.Scope(scope).label) for scope in key.scopes)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> SafeString:
        now = timezone.now()
        if key.revoked_at is not None:
            text = gettext("Revoked %(day)s") % {"day": formatting.day(key.revoked_at, now)}
        elif key.has_ended(now):
            text = gettext("Ended %(day)s") % {"day": formatting.day(key.expires_at, now)}
        elif not key.user.is_active:
            text = gettext("Its person is not active")
        else:
            ends = "" if key.expires_at is None else formatting.day(key.expires_at, now)
            text = gettext("Works until %(day)s") % {"day": ends} if ends else gettext("Works")
            return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), text)
        return format_html('<span class="state muted">{}{}</span>', parts.icon("muted"), text)

    @admin.display(description=_("last used"))
    def used(self, key: ApiKey) -> str:
        return parts.time_ago(key.last_used_at) if key.last_used_at else gettext("never")


def revoke_chosen(model_admin: ModelAdmin, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
    count = revoke(keys=keys, actor=person(request), now=timezone.now())
    text = ngettext("Revoked %d key; it opens nothing any more.", "Revoked %d keys; they open nothing any more.", count)
    model_admin.message_user(request, text % count, messages.SUCCESS)


add_action(ApiKey, "revoke", _("Revoke"), revoke_chosen, permission="catalog.change_apikey")
add_menu_item("settings", _("API keys"), "admin:catalog_apikey_changelist", permission="catalog.view_apikey", order=75)
