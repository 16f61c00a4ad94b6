"""Who works here: people, their channels, and their roles."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, User
from config.admin_site import add_menu_item
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(FrameModelAdmin, UserAdmin):
    """Superusers manage everybody; holders of the user permissions manage the others, and give only what they have."""

    list_display = ["username", "full_name", "email", "roles", "is_active", "signed_in"]
    list_filter = ["is_active", "groups"]
    search_help_text = _("Name or e-mail")
    list_line = _("Who works here")
    fieldsets = [
        (None, {"fields": ["username", "password", "first_name", "last_name", "email"]}),
        (_("Access"), {"fields": ["is_active", "is_staff", "groups", "channels"]}),
        (_("More"), {"fields": ["is_superuser", "user_permissions"], "classes": ["collapse"]}),
    ]
    filter_horizontal = ["groups", "channels", "user_permissions"]

    @admin.display(description=_("name"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "—"

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        names = [_("Owner")] if user.is_superuser else [_(group.name) for group in user.groups.all()]
        return ", ".join(map(str, names)) or "—"

    @admin.display(description=_("last signed in"), ordering="last_login")
    def signed_in(self, user: User) -> str:
        return parts.time_ago(user.last_login)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not is_above and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not is_above and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if request.user.is_superuser else ["is_superuser", "user_permissions"]

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        choices = super().get_field_queryset(db, db_field, request)
        if db_field.name == "groups" and not request.user.is_superuser:
            choices = Group.objects.filter(pk__in=_groups_within(person(request))).order_by("name")
        return choices

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: Any, change: bool) -> None:
        """Keeps the channels and roles that the editor cannot see: not being on the form, they were not taken away."""
        user = form.instance
        if change and not request.user.is_superuser:
            seen = Channel.objects.visible_to(person(request))
            channels = list(user.channels.exclude(pk__in=seen))
            groups = list(user.groups.exclude(pk__in=_groups_within(person(request))))
            super().save_related(request, form, formsets, change)
            user.channels.add(*channels)
            user.groups.add(*groups)
        else:
            super().save_related(request, form, formsets, change)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():  # the new password and its audit event, or neither
            return super().user_change_password(request, id, form_url)


def _groups_within(user: User) -> list[int]:
    """The roles that hold no permission which the person lacks."""
    held = user.get_all_permissions()
    return [
        group.pk
        for group in Group.objects.prefetch_related("permissions__content_type")
        if all(f"{each.content_type.app_label}.{each.codename}" in held for each in group.permissions.all())
    ]


@admin.register(Group)
class RoleAdmin(FrameModelAdmin, GroupAdmin):
    """Roles are changed by superusers alone: whoever can change a role can give themselves everything."""

    list_line = _("What each role may see and do")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


add_menu_item("settings", _("Team"), "admin:catalog_user_changelist", permission="catalog.view_user", order=60)
add_menu_item("settings", _("Roles"), "admin:auth_group_changelist", permission="auth.view_group", order=70)
