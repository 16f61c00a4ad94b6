"""Keeps secrets out of the logs, whoever wrote them there."""

import logging
import re

# key=value, key: value and "key": "value" forms of the names that platforms and we give to secrets.
_SECRET = re.compile(
    r"""(?ix)
    \b(app_?secret|client_?secret|secret(?:_key)?|access_?token|refresh_?token|session(?:_?key)?|password|sign|
       authorization|api_?key|code)
    (["']?\s*[=:]\s*["']?(?:bearer\s+|basic\s+)?)
    ([^\s"'&,;})\]]+)""",
)


def mask_secrets(text: str) -> str:
    """The text with the value behind every secret's name replaced by "•••"."""
    return _SECRET.sub(r"\1\2•••", text)


class MaskSecrets(logging.Filter):
    """Masks the message with its arguments, and the traceback, before a handler formats them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = mask_secrets(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = mask_secrets(logging.Formatter().formatException(record.exc_info))
        return True
