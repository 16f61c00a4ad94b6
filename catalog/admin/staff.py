"""Who works here: people, their channels, and their roles."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q, QuerySet
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
        return super().has_change_permission(request, obj) and (obj is None or _is_within(obj, person(request)))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _is_within(obj, person(request)))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if request.user.is_superuser else ["is_superuser", "user_permissions"]

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        choices = super().get_field_queryset(db, db_field, request)
        if db_field.name == "groups" and not request.user.is_superuser:
            choices = Group.objects.filter(pk__in=_groups_within(person(request))).order_by("name")
        return choices

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():  # the new password and its audit event, or neither
            return super().user_change_password(request, id, form_url)


def _is_within(user: User, editor: User) -> bool:
    """Whether the user may do and see nothing that the editor may not, so that the editor gains nothing as that user.

    What an inactive user would get counts: the editor may activate them.
    """
    if editor.is_superuser:
        return True
    given = Permission.objects.filter(Q(user=user) | Q(group__user=user)).select_related("content_type")
    beyond = Channel.objects.filter(staff=user).exclude(pk__in=Channel.objects.visible_to(editor))
    return not user.is_superuser and _names(given) <= editor.get_all_permissions() and not beyond.exists()


def _groups_within(user: User) -> list[int]:
    """The roles that hold no permission which the person lacks."""
    held = user.get_all_permissions()
    groups = Group.objects.prefetch_related("permissions__content_type")
    return [group.pk for group in groups if _names(group.permissions.all()) <= held]


def _names(permissions: Iterable[Permission]) -> set[str]:
    return {f"{each.content_type.app_label}.{each.codename}" for each in permissions}


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
