"""Who asks, and what they may read: a program with a key, or a member of staff who is signed in."""

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from catalog.models import ApiKey, User


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer es_…`; the request acts for the key's user."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        now = timezone.now()
        key = ApiKey.objects.for_token(token.strip()).select_related("user").first()
        if key is None:
            raise AuthenticationFailed(gettext("This API key does not exist. Check that it was copied as a whole."))
        if key.revoked_at is not None:
            raise AuthenticationFailed(gettext("This API key was revoked. Ask for a new one."))
        if key.has_ended(now):
            raise AuthenticationFailed(gettext("This API key has ended. Ask for a new one."))
        if not key.user.is_active:
            raise AuthenticationFailed(gettext("The person that this API key acts for is no longer active."))
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Evenshelf"'


class StaffSession(BaseAuthentication):
    """The session of whoever may use the admin. Nothing is ever written here, so there is nothing to forge."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not admin.site.has_permission(request._request):
            return None
        return user, None


class MayRead(BasePermission):
    """The key has the scope of what is asked for, and its user (or who is signed in) holds the permissions."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            return False
        if reason := refusal(request, view):
            raise PermissionDenied(reason)
        return True


def refusal(request: Request, resource: Any) -> str:
    """Why somebody who is known may not read the resource; "" when they may."""
    scope = getattr(resource, "scope", None)
    if scope and isinstance(request.auth, ApiKey) and scope not in request.auth.scopes:
        return gettext("This API key does not have the scope %(scope)s.") % {"scope": scope}
    if not request.user.has_perms(getattr(resource, "permissions", ())):
        return gettext("Your role does not include reading this.")
    return ""


def may_read_costs(request: Request) -> bool:
    has_scope = not isinstance(request.auth, ApiKey) or ApiKey.Scope.COST in request.auth.scopes
    return has_scope and request.user.has_perm("catalog.view_cost")


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "config.api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: es_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "config.api.authentication.StaffSession"
    name = "staffSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Signed in to the admin."}
