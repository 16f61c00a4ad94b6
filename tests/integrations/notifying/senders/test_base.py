"""Cutting texts on bytes, and which addresses a message may go to."""

import pytest

from integrations.connectors.base import InvalidSetting
from integrations.notifying.senders.base import byte_length, cut_bytes, fit_lines, json_body, split_address

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "max_bytes", "expected"),
    [
        pytest.param("台灯", 6, "台灯", id="just fits"),
        pytest.param("台灯ab", 7, "台…", id="a character is not broken"),
        pytest.param("abcdef", 5, "ab…", id="ASCII"),
        pytest.param("😀😀", 7, "😀…", id="four bytes"),
        pytest.param("台灯", 5, "…", id="no room for a character"),
        pytest.param("a\ud83d", 9, "a?", id="half of a surrogate pair"),
    ],
)
def test_a_text_is_cut_between_characters(text, max_bytes, expected):
    assert cut_bytes(text, max_bytes) == expected
    assert byte_length(expected) <= max_bytes


def test_a_text_that_fits_is_left_alone():
    assert fit_lines("Head", ("one", "two"), "tail", 17) == "Head\none\ntwo\ntail"


def test_lines_that_do_not_fit_are_counted():
    text = fit_lines("Head", tuple(f"line {number}" for number in range(100)), "tail", 100)
    assert text.split("\n") == ["Head", *(f"line {n}" for n in range(8)), "92 more lines were left out.", "tail"]


def test_one_line_left_out_is_told_in_the_singular():
    text = fit_lines("Head", ("a", "b" * 60), "", 50)
    assert text == "Head\na\n1 more line was left out."


def test_of_a_first_line_that_is_too_long_the_beginning_stays():
    text = fit_lines("Head", ("台" * 100, "two"), "tail", 100)
    assert text.split("\n") == ["Head", "台" * 20 + "…", "1 more line was left out.", "tail"]
    assert byte_length(text) <= 100


@pytest.mark.parametrize("max_bytes", [1, 3, 10, 40, 41, 45, 100, 101, 102, 500, 2048, 5000])
@pytest.mark.parametrize("head", ["", "Head", "灯" * 500])
@pytest.mark.parametrize("tail", ["", "https://shop.example/alerts/"])
@pytest.mark.parametrize("lines", [(), ("台灯 ¥189",) * 3, ("台灯 · ¥268.00 → ¥189.00",) * 999, ("灯" * 2000,)])
def test_no_text_is_longer_than_allowed(head, lines, tail, max_bytes):
    text = fit_lines(head, lines, tail, max_bytes)
    assert byte_length(text) <= max(max_bytes, 3)
    assert tail in text or byte_length(head + tail) + 1 >= max_bytes or max_bytes <= 45


def test_json_takes_what_no_utf8_can_hold():
    assert json_body({"a\ud83d": ["b\ud83d", 1]}) == b'{"a?":["b?",1]}'


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.2/hook",
        "https://127.0.0.2/hook",
        "https://localhost/hook",
        "https://LOCALHOST./hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/",
        "https://10.1.2.3/hook",
        "https://192.168.0.1/hook",
        "https://172.31.0.1/hook",
        "https://100.64.0.1/hook",
        "https://0.0.0.0/hook",
        "https://[fe80::1]/hook",
        "https://[fd00::1]/hook",
        "https://[::ffff:127.0.0.2]/hook",
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "file:///etc/passwd",
        "//hooks.example/x",
        "hooks.example/x",
        "https://",
        "https:///x",
        "https://user:geheim@hooks.example/x",
        "https://oapi.dingtalk.com@hooks.example/x",
        "https://hooks.example\\@oapi.dingtalk.com/x",
        "https://hooks.example/x#y",
        "https://hooks.example:99999/x",
        "https://hooks.example:0/x",
        "https://hooks.example/x y",
        "https://hooks.example/灯",
        "https://hooks.example /x",
        "https://[broken/x",
        "https://hooks_.example;/x",
    ],
)
def test_an_address_that_is_private_or_odd_is_refused_without_being_quoted(address):
    with pytest.raises(InvalidSetting) as caught:
        split_address(address)
    assert caught.value.field == "address"
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://hooks.example/x?y=1", "https://93.184.216.34/x", "https://[2606:4700::1111]:8443/x"]
)
def test_a_public_address_is_taken(address):
    assert split_address(address).geturl() == address


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("https://127.0.0.1/x", True),
        ("https://169.254.169.254/x", False),
        ("http://127.0.0.1:8900/x", True),
        ("http://127.0.0.1:8901/x", False),
        ("http://127.0.0.1/x", False),
        ("http://robots.internal/x", True),
        ("https://robots.internal:8443/x", True),
        ("http://other.internal/x", False),
    ],
)
def test_the_settings_allow_a_host_or_one_of_its_ports(settings, address, is_allowed):
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1:8900", "127.0.0.1:443", "Robots.internal", "169.254.169.254"]
    if is_allowed:
        assert split_address(address).geturl() == address
    else:
        with pytest.raises(InvalidSetting):
            split_address(address)
