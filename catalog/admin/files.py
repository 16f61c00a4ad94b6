"""What pages of files share: an upload is read, looked at, and applied as just this person has seen it."""

import csv
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_cache_control
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.mapping import files
from config import formatting

PREVIEW_SECONDS = 1_800  # how long a preview waits for its confirmation
_SHOWN = 200  # changes and errors on the page
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class FileForm(forms.Form):
    """An upload; what `read` makes of its bytes is the cleaned value."""

    file = forms.FileField(
        label=_("File"),
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx,.txt,.tsv"}),
        error_messages={"required": _("Choose a file."), "empty": _("The file is empty.")},
    )

    def __init__(self, request: HttpRequest, *, read: Callable[[bytes], Any], help_text: str) -> None:
        is_sent = request.method == "POST"
        super().__init__(request.POST if is_sent else None, request.FILES if is_sent else None)
        self._read = read
        self.fields["file"].help_text = help_text

    def clean_file(self) -> Any:
        upload = self.cleaned_data["file"]
        try:
            if upload.size > files.MOST_BYTES:
                raise files.Unreadable(gettext("The file is larger than 5 MB. Split it."))
            return self._read(upload.read())
        except files.Unreadable as error:
            raise ValidationError(str(error)) from error


def preview_context(
    request: HttpRequest, kind: str, shown: Any, *more_to_keep: Any, changes: Sequence[Any], errors: Sequence[Any]
) -> dict[str, Any]:
    """What the page of a preview shows; one without errors is kept for its confirmation, under the token."""
    token = ""
    if changes and not errors:
        token = secrets.token_urlsafe(16)
        cache.set(_key(kind, token), (request.user.pk, changes, *more_to_keep), PREVIEW_SECONDS)
    return {
        "shown": shown,
        "change_count": len(changes),
        "error_count": len(errors),
        "changes": changes[:_SHOWN],
        "errors": errors[:_SHOWN],
        "more": max(0, len(changes) - _SHOWN),
        "more_errors": max(0, len(errors) - _SHOWN),
        "token": token,
    }


def take_preview(request: HttpRequest, kind: str) -> tuple[Any, ...] | None:
    """The changes that the person confirms, and what was kept with them: once; None, and they are told, without."""
    key = _key(kind, request.POST.get("token", ""))
    stored, applied = cache.get(key), cache.get(f"{key}:applied")
    if applied is not None and applied[0] == request.user.pk:
        text = gettext("This was applied at %(time)s already, and is not applied again.")
        link = format_html('<a href="{}">{}</a>', applied[2], gettext("See what came of it"))
        messages.info(request, format_html("{} {}", text % {"time": formatting.moment(applied[1])}, link))
        return None
    if stored is None or stored[0] != request.user.pk:
        messages.error(request, gettext("The preview is no longer there. Upload the file again."))
        return None
    cache.delete(key)
    return tuple(stored[1:])


def keep_applied(request: HttpRequest, kind: str, *, now: datetime, url: str) -> None:
    """For a second press on the same button: what the preview held was applied now, and is to be seen at `url`."""
    key = _key(kind, request.POST.get("token", ""))
    cache.set(f"{key}:applied", (request.user.pk, now, url), PREVIEW_SECONDS)


def _key(kind: str, token: str) -> str:
    return f"{kind}-preview:{token[:64]}"


def download(rows: Iterable[Sequence[str]], *, name: str, sheet: str, is_excel: bool) -> HttpResponseBase:
    """The rows as a file that is kept by nobody on the way; `name` is without its ending."""
    answer: HttpResponseBase
    if is_excel:
        answer = HttpResponse(files.excel_file(rows, sheet), content_type=_EXCEL)
    else:
        writer = csv.writer(_Echo())
        # With a byte order mark, by which Excel knows UTF-8.
        lines = (("\ufeff" if number == 0 else "") + writer.writerow(row) for number, row in enumerate(rows))
        answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{"xlsx" if is_excel else "csv"}"'
    patch_cache_control(answer, private=True, no_store=True)
    return answer


class _Echo:
    """Where csv writes to when every line is sent at once."""

    def write(self, line: str) -> str:
        return line
