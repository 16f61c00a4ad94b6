import logging
import sys

import pytest

from config.logs import MaskSecrets, mask_secrets

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("app_secret=abc123", "app_secret=•••", id="form"),
        pytest.param("a=1&client_secret=abc&b=2", "a=1&client_secret=•••&b=2", id="inside a form"),
        pytest.param(
            '{"access_token": "620abc", "expires_in": 1}', '{"access_token": "•••", "expires_in": 1}', id="JSON"
        ),
        pytest.param("{'refresh_token': '621abc'}", "{'refresh_token': '•••'}", id="repr"),
        pytest.param("Authorization: Bearer abc.def", "Authorization: Bearer •••", id="header"),
        pytest.param("session=620abc sign=0F", "session=••• sign=•••", id="gateway parameters"),
        pytest.param("SECRET_KEY=xyz", "SECRET_KEY=•••", id="setting"),
        pytest.param(
            '"GET /connect/callback/?code=abc&state=xyz HTTP/1.1" 302',
            '"GET /connect/callback/?code=•••&state=••• HTTP/1.1" 302',
            id="callback",
        ),
        pytest.param("shelf state=on sign_method=md5", "shelf state=on sign_method=md5", id="harmless words"),
        pytest.param("taobao token: retry (timeout), code 15", "taobao token: retry (timeout), code 15", id="errors"),
    ],
)
def test_the_value_behind_a_secret_name_is_masked(text, expected):
    assert mask_secrets(text) == expected


def formatted(record: logging.LogRecord) -> str:
    MaskSecrets().filter(record)
    return logging.Formatter("%(message)s").format(record)


def record_of(message: str, *args: object, exc_info=None) -> logging.LogRecord:
    return logging.LogRecord("tests", logging.INFO, __file__, 1, message, args, exc_info)


def test_arguments_are_masked_with_the_message():
    assert formatted(record_of("answer %s", {"access_token": "620abc"})) == "answer {'access_token': '•••'}"


def test_a_traceback_is_masked_even_when_another_handler_has_formatted_it():
    try:
        raise ValueError("app_secret=helloworld")
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())
    logging.Formatter().format(record)
    text = formatted(record)
    assert "helloworld" not in text
    assert "ValueError: app_secret=•••" in text


def test_arguments_that_do_not_fit_their_message_stop_nobody():
    assert formatted(record_of("count %d", "app_secret=abc")) == "count %d ('app_secret=•••',)"


def test_every_handler_of_the_product_masks(settings):
    logging_settings = settings.LOGGING
    assert all("mask_secrets" in handler["filters"] for handler in logging_settings["handlers"].values())
    # Django's own handler for the development server does not, so that logger is given ours.
    assert logging_settings["loggers"]["django.server"]["handlers"] == ["console"]
    assert logging_settings["loggers"]["django.server"]["propagate"] is False
