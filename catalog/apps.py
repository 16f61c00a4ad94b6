"""The catalog, and the audit log of who came and went."""

from typing import Any

from django.apps import AppConfig
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class CatalogConfig(AppConfig):
    name = "catalog"
    verbose_name = _("Catalog")

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

        user_logged_in.connect(log_sign_in, dispatch_uid="catalog.log_sign_in")
        user_logged_out.connect(log_sign_out, dispatch_uid="catalog.log_sign_out")
        user_login_failed.connect(log_failed_sign_in, dispatch_uid="catalog.log_failed_sign_in")


def log_sign_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Receiver of user_logged_in."""
    if _is_of_a_person(request):
        _log("signed in", user, actor=user)


def log_sign_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Receiver of user_logged_out; `user` is None when nobody was signed in."""
    if user is not None and _is_of_a_person(request):
        _log("signed out", user, actor=user)


def log_failed_sign_in(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Receiver of user_login_failed. Of what was entered only the user name is kept.

    An attempt that was refused unseen, because there were too many before it, does not fill the log.
    """
    from catalog.models import User

    if _is_of_a_person(request) and not _was_refused_unseen(request):
        name = str(credentials.get("username", ""))
        _log("sign-in failed", User.objects.filter(username=name).first() or User(username=name), actor=None)


def _is_of_a_person(request: HttpRequest | None) -> bool:
    """Whether a browser asked; a program may make or end a session without any request."""
    return request is not None and request.method is not None


def _was_refused_unseen(request: HttpRequest | None) -> bool:
    """Whether the password was not looked at: django-axes counts only those that were."""
    return getattr(request, "axes_locked_out", False) and getattr(request, "axes_failures_since_start", None) is None


def _log(action: str, user: Any, *, actor: Any) -> None:
    from catalog.services import audit

    audit(action=action, obj=user, actor=actor, now=timezone.now())
