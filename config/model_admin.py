"""What every list, form and object page of the admin has in common: scope, columns, actions, the audit log."""

from collections.abc import Callable
from typing import Any, NoReturn

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin, ShowFacets, display
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.audit_text import action_label, readable_changes
from catalog.models import AuditEvent, User
from catalog.services import audit, audit_many
from config.admin_site import Action, Column, ShownButton, page_badge, page_buttons, page_panels, registry
from config.change_list import TAB_VAR, FrameChangeList
from config.form_changes import form_changes
from config.formatting import spaced

_EVENTS_PER_PAGE = 50
_PHONE_BUTTONS = 3  # in the row of a page's head, “More” among them

gettext_noop(":")  # stands behind the label of every field; Django asks our catalogue for it before its own


class ReadOnly(ModelAdmin):
    """A base for what staff look at and nobody writes in the admin."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class FrameModelAdmin(ModelAdmin):
    """A ModelAdmin that shows only what `visible_to` allows and writes an audit event for all it changes."""

    page = ""  # the name of the object page that opens instead of the form; "": the form opens
    in_site_search = False
    list_line: str | Promise = ""  # the grey line below the title of the list
    empty_title: str | Promise = ""  # of a list without rows; "": "No suppliers here yet"
    empty_text: str | Promise = ""  # what would fill the list
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER

    def title_of(self, obj: Any) -> str:
        """What an object is called in titles and messages."""
        return str(obj)

    def search_line(self, obj: Any) -> str:
        """What stands below an object's name among search results."""
        return ""

    def choice_text(self, obj: Any) -> str:
        """What an object is called where a form offers it as a choice with a search."""
        return str(obj)

    # What a person sees

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return _visible(super().get_queryset(request), request)

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> "Paginator[Any]":
        paginator = super().get_paginator(request, *args, **kwargs)
        known = getattr(request, "evenshelf_row_count", None)
        if known is not None:
            paginator.count = known
        return paginator

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        choices = super().get_field_queryset(db, db_field, request)
        if choices is None:
            choices = db_field.remote_field.model._default_manager.using(db)
        return _visible(choices, request)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Beside a choice stands only "add"; an existing one is looked up or changed on its own page."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name in self.autocomplete_fields:
            field.label_from_instance = self.admin_site.get_model_admin(db_field.related_model).choice_text  # type: ignore[attr-defined]
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_change_related = field.widget.can_delete_related = field.widget.can_view_related = False
            if isinstance(field.widget.widget, forms.CheckboxSelectMultiple):
                field.widget.can_add_related = False  # Django's script would not add a box
        return field

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FrameChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_display(request), *map(_shown_column, registry.columns.get(self.model, []))]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        last = found.pop("delete_selected", None)
        if self.actions is not None and IS_POPUP_VAR not in request.GET:
            for action in registry.actions.get(self.model, []):
                if request.user.has_perm(action.permission) and action.is_offered(request):
                    found[action.name] = (_run_action(action), action.name, action.label)
        if last:
            func, name, _description = last
            found[name] = (func, name, _("Delete…"))
        return found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        chosen = request.GET.get(TAB_VAR)
        if chosen is not None and all(tab.slug != chosen for tab in registry.tabs.get(self.model, [])):
            query = request.GET.copy()
            del query[TAB_VAR]
            return HttpResponseRedirect(f"{request.path}?{query.urlencode()}" if query else request.path)
        context = {
            "list_line": self.list_line,
            "empty_title": self.empty_title,
            "empty_text": self.empty_text,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Django goes to the dashboard with a message; here it is the page of what is not there, as everywhere else."""
        raise Http404

    # Object pages

    def get_urls(self) -> list[URLPattern]:
        urls = super().get_urls()
        if not self.page:
            return urls
        view = self.admin_site.admin_view(self.edit_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_edit"
        return [path("<path:object_id>/edit/", view, name=name), *urls]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        in_popup = IS_POPUP_VAR in request.GET or TO_FIELD_VAR in request.GET
        if self.page and request.method in ("GET", "HEAD") and not in_popup:
            return self.object_view(request, object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form behind "Edit"; people who may only look are refused."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return super().change_view(request, object_id)

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page of one object: its facts and panels as the apps have registered them."""
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        if obj is None:
            raise Http404
        edit_url = self.address("edit", obj) if self.has_change_permission(request, obj) else None
        buttons = page_buttons(self.page, request, obj)
        context = {
            **self.admin_site.each_context(request),
            "title": self.title_of(obj),
            "opts": self.opts,
            "original": obj,
            "badge": page_badge(self.page, request, obj),
            "line_template": f"admin/{self.opts.app_label}/{self.opts.model_name}/line.html",
            "edit_url": edit_url,
            "buttons": buttons,
            "phone_rest": _rest_on_phones(buttons) if len(buttons) + bool(edit_url) > _PHONE_BUTTONS else [],
            "panels": page_panels(self.page, request, obj),
        }
        return TemplateResponse(request, "admin/object_page.html", context)

    def address(self, view: str, obj: Any) -> str:
        """The address of a view of one object: "change", "edit", "history" or "delete"."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{view}"
        return reverse(name, args=[quote(obj.pk)])

    # Forms

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:
            # The form found the row free, and somebody else took it before the row was written.
            self.message_user(
                request, gettext("Somebody saved the same just now. Nothing was changed; look again."), messages.ERROR
            )
            return HttpResponseRedirect(request.get_full_path())

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if add:
            context["title"] = spaced(gettext("Add %(name)s") % {"name": self.opts.verbose_name})
        elif self.has_change_permission(request, obj):
            context |= {"title": gettext("Edit “%(name)s”") % {"name": self.title_of(obj)}, "subtitle": None}
        else:
            context |= {"title": self.title_of(obj), "subtitle": None}
        context |= {
            # Django's sentence about them begins with “Please”; the template writes ours in its place.
            "errors": None,
            "form_errors": context["errors"],
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            "back_url": self.address("change", obj) if self.page and obj else None,
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        if IS_POPUP_VAR in request.POST:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, gettext("Added “%(name)s”.") % {"name": self.title_of(obj)}, messages.SUCCESS)
        return self.response_post_save_add(request, obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if IS_POPUP_VAR in request.POST:
            return super().response_change(request, obj)
        self.message_user(request, gettext("Saved “%(name)s”.") % {"name": self.title_of(obj)}, messages.SUCCESS)
        return self.response_post_save_change(request, obj)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        return self._response_after_saving(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        return self._response_after_saving(request, obj)

    def _response_after_saving(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        if self.page and self.has_view_or_change_permission(request, obj):
            return HttpResponseRedirect(self.address("change", obj))
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return HttpResponseRedirect(
            reverse(name) if self.has_view_or_change_permission(request) else reverse("admin:index")
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """As Django gives it, but what stands in the way is counted, not named: the person may not see all of it."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        if protected:
            number = len(protected)
            protected = [ngettext("%d object that uses it", "%d objects that use it", number) % number]
            needed = set()  # what is in use is not deleted whatever one's role allows
        return deleted, counts, needed, protected

    # The audit log takes the place of Django's own

    def construct_change_message(self, request: HttpRequest, form: forms.Form, formsets: Any, add: bool = False) -> Any:
        return form_changes(form)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return audit(action="added", obj=obj, actor=person(request), now=timezone.now(), changes=message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if not message:
            return None
        return audit(action="changed", obj=obj, actor=person(request), now=timezone.now(), changes=message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return audit_many(action="deleted", objects=queryset, actor=person(request), now=timezone.now())

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was done to one object, newest first."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        events = AuditEvent.objects.filter(object_type=self.opts.label_lower, object_id=str(obj.pk))
        page = Paginator(events.select_related("actor"), _EVENTS_PER_PAGE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Changes to “%(name)s”") % {"name": self.title_of(obj)},
            "opts": self.opts,
            "original": obj,
            "page": page,
            "events": [(event, action_label(event), list(readable_changes(event, person(request)))) for event in page],
            "back_url": self.address("change", obj),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/object_history.html", context)


def _rest_on_phones(buttons: list[ShownButton]) -> list[ShownButton]:
    """Those that a row of a phone leaves to “More”, beside which the primary one and the first of the others stand."""
    kept = sorted(buttons, key=lambda button: not button.primary)[: _PHONE_BUTTONS - 1]
    return [button for button in buttons if button not in kept]


def person(request: HttpRequest) -> User:
    """Who sent the request. Raises PermissionDenied when nobody is signed in, which no page of the admin allows."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _visible(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return rows.visible_to(person(request)) if hasattr(rows, "visible_to") else rows


def _shown_column(column: Column) -> Callable[[Any], str]:
    """A callable as Django's list wants it; its name becomes the class of the cells."""

    @display(description=column.label, ordering=getattr(column.func, "admin_order_field", None))
    def show(obj: Any) -> str:
        return column.func(obj)

    show.__name__ = f"{column.name} {column.classes}".strip()
    return show


def _run_action(action: Action) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def run(model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        # Without the annotations of the list, so that the action may lock and update the rows.
        chosen = model_admin.get_queryset(request).filter(pk__in=rows.order_by().values("pk"))
        return action.func(model_admin, request, chosen)

    run.__name__ = action.name
    return run
