"""Keeps secrets out of the logs, whoever wrote them there."""

import logging
import re

# key=value, key: value and "key": "value" forms of the names that platforms and we give to secrets.
_SECRET = re.compile(
    r"""(?ix)
    \b(app_?secret|client_?secret|consumer_?secret|secret(?:_key)?|access_?token|refresh_?token|session(?:_?key)?|password|
       sign|authorization|api_?key|code)
    (["']?\s*[=:]\s*["']?(?:bearer\s+|basic\s+)?)
    ([^\s"'&,;})\]]+)""",
)
# The state of an authorisation; elsewhere the word is a common one, so only as a parameter of an address.
_STATE = re.compile(r"([?&]state=)[^\s\"'&]+")

# Our own API keys are known by their look, wherever they stand.
_API_KEY = re.compile(r"\bes_[\w-]{20,}")


def mask_secrets(text: str) -> str:
    """The text with the value behind every secret's name replaced by "•••"."""
    return _API_KEY.sub("es_•••", _STATE.sub(r"\1•••", _SECRET.sub(r"\1\2•••", text)))


class MaskSecrets(logging.Filter):
    """Masks the message with its arguments, and the traceback, before a handler formats them."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit: a log line must not stop its writer
            message = f"{record.msg} {record.args!r}"
        record.msg = mask_secrets(message)
        record.args = None
        if record.exc_info:
            # Another handler may have left its own text there, unmasked.
            record.exc_text = mask_secrets(record.exc_text or logging.Formatter().formatException(record.exc_info))
        if record.stack_info:
            record.stack_info = mask_secrets(record.stack_info)
        return True
