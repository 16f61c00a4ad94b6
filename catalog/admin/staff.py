"""Who works here: people, their channels, and their roles."""

from collections.abc import Iterable
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AdminSite, ModelAdmin, RelatedFieldListFilter
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import ReadOnlyPasswordHashField, UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from catalog.audit_text import kind_label
from catalog.models import ApiKey, Channel, User
from config import formatting
from config.admin_site import add_menu_item
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

admin.site.unregister(Group)

_OUR_APPS = ("catalog", "monitoring", "integrations")
_VERBS = {
    "add": gettext_noop("add"),
    "change": gettext_noop("change"),
    "delete": gettext_noop("delete"),
    "view": gettext_noop("view"),
}
_FURTHER_PERMISSIONS = (gettext_noop("Can see cost prices"), gettext_noop("Can see every channel"))


class RoleChoiceField(forms.ModelMultipleChoiceField):
    """Roles in the language of the page."""

    def label_from_instance(self, obj: Any) -> str:
        return gettext(obj.name)


class PermissionChoiceField(forms.ModelMultipleChoiceField):
    """Permissions in the language of the page; the framework stores their names in English."""

    def label_from_instance(self, obj: Any) -> str:
        verb, _dash, model = obj.codename.partition("_")
        what = gettext(_VERBS[verb] if verb in _VERBS and model == obj.content_type.model else obj.name)
        return formatting.labelled(capfirst(kind_label(".".join(obj.content_type.natural_key()))), what)


class RoleFilter(RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("role")

    def field_choices(self, field: Any, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, Any]]:
        return [(str(role.pk), gettext(role.name)) for role in Group.objects.order_by("name")]


class PasswordLink(forms.Widget):
    """Leads to the page of the password, of which nothing is shown."""

    read_only = True

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return format_html('<a class="btn" href="../password/">{}</a>', gettext("Change password"))

    def id_for_label(self, id_: str | None) -> str:
        return ""


class StaffForm(UserChangeForm):
    password = ReadOnlyPasswordHashField(label=_("Password"), widget=PasswordLink)


class PermissionChoices(ModelAdmin):
    """A base whose forms offer the permissions of our apps, not those of the framework below them.

    What there are few of, roles and channels, is ticked.
    """

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.remote_field.model is Permission:
            ours = Permission.objects.filter(content_type__app_label__in=_OUR_APPS)
            kwargs["queryset"] = ours.select_related("content_type")
            kwargs["form_class"] = PermissionChoiceField
        elif db_field.remote_field.model is Group:
            kwargs["form_class"] = RoleChoiceField
            kwargs["widget"] = forms.CheckboxSelectMultiple
        elif db_field.remote_field.model is Channel:
            kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(User)
class StaffAdmin(FrameModelAdmin, PermissionChoices, UserAdmin):
    """Superusers manage everybody; holders of the user permissions manage the others, and give only what they have."""

    list_display = ["username", "full_name", "email", "roles", "is_active", "signed_in"]
    list_filter = ["is_active", ("groups", RoleFilter)]
    search_help_text = _("Name or e-mail")
    list_line = _("Who works here")
    fieldsets = [
        (None, {"fields": ["username", "password", "first_name", "last_name", "email"]}),
        (_("Access"), {"fields": ["is_active", "is_staff", "groups", "channels"]}),
        (_("More"), {"fields": ["is_superuser", "user_permissions"], "classes": ["collapse"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "password1", "password2"]}),
        (_("Access"), {"fields": ["is_staff", "groups", "channels"]}),
    ]
    filter_horizontal = ["user_permissions"]
    form = StaffForm
    add_form = UserCreationForm
    add_form_template = None  # Django's promises a second form

    @admin.display(description=_("name"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "—"

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        names = [_("Owner")] if user.is_superuser else [gettext(group.name) for group in user.groups.all()]
        return formatting.joined(map(str, names)) or "—"

    @admin.display(description=_("last signed in"), ordering="last_login")
    def signed_in(self, user: User) -> str:
        return parts.time_ago(user.last_login)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _is_within(obj, person(request)))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _is_within(obj, person(request)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """API keys, which nobody deletes by themselves, go with the person they act for."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, needed - {ApiKey._meta.verbose_name}, protected

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if request.user.is_superuser else ["is_superuser", "user_permissions"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without the way to the password for people who may only look."""
        found = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "password"]})
            for title, options in found
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["labels"] = {"is_staff": _("Can sign in here"), "groups": _("Roles")}
        kwargs["help_texts"] = {
            "is_staff": "",
            "groups": _("What they may see and do. Several roles add up."),
            "is_active": _("Untick it for people who left: they can no longer sign in, and what they did stays."),
        }
        return super().get_form(request, obj, change=change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        answer = super().response_add(request, obj, post_url_continue)
        if not obj.is_staff:
            text = gettext("“%(name)s” cannot sign in until “Can sign in here” is ticked.")
        elif not obj.is_superuser and not obj.groups.exists():
            text = gettext("“%(name)s” can sign in, but sees nothing until they have a role.")
        else:
            return answer
        self.message_user(request, text % {"name": obj}, messages.WARNING)
        return answer

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
class RoleAdmin(FrameModelAdmin, PermissionChoices, GroupAdmin):  # type: ignore[misc]
    """Roles are changed by superusers alone: whoever can change a role can give themselves everything."""

    list_display = ["role"]
    list_line = _("What each role may see and do")

    def __init__(self, model: type[Group], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        # The framework's "group" is a role on our pages; the model's own names belong to its app.
        self.opts = copy(self.opts)
        self.opts.verbose_name = _("role")
        self.opts.verbose_name_plural = _("roles")

    def title_of(self, obj: Any) -> str:
        return gettext(obj.name)

    @admin.display(description=_("role"), ordering="name")
    def role(self, group: Group) -> str:
        return gettext(group.name)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        deleted, _counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, {self.opts.verbose_name_plural: len(objs)}, needed, protected

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


add_menu_item("settings", _("Team"), "admin:catalog_user_changelist", permission="catalog.view_user", order=60)
add_menu_item("settings", _("Roles"), "admin:auth_group_changelist", permission="auth.view_group", order=70)
