from copy import deepcopy
from functools import cache

import pytest
from django import forms
from django.utils import translation

from config import translations

pytestmark = pytest.mark.pure


extracted = cache(translations.extract_catalog)  # the code stays the same meanwhile, and looking through it takes long


@pytest.fixture
def locale(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(translations, "extract_catalog", lambda: deepcopy(extracted()))
    settings.LOCALE_PATHS = [tmp_path]
    return tmp_path


def fill(path, strings):
    text = path.read_text(encoding="utf-8")
    for source, translated in strings.items():
        assert f'msgid "{source}"\nmsgstr ""' in text
        text = text.replace(f'msgid "{source}"\nmsgstr ""', f'msgid "{source}"\nmsgstr "{translated}"')
    path.write_text(text, encoding="utf-8")


def test_strings_of_models_and_templates_are_found():
    found = extracted()
    assert "platform item id" in found
    assert any(message.locations[0][0].startswith("templates/") for message in found if message.locations)


def test_an_empty_string_is_a_fault_and_a_filled_one_is_not(locale):
    translations.update("zh-hans")
    before = translations.faults("zh-hans")
    assert any("not translated: 'list price'" in fault for fault in before)
    fill(translations.po_path("zh-hans"), {"list price": "标价"})
    after = translations.faults("zh-hans")
    assert len(after) == len(before) - 1


def test_a_string_new_in_the_code_is_a_fault_until_the_file_is_updated(locale):
    assert any("not in the file" in fault for fault in translations.faults("zh-hans"))
    translations.update("zh-hans")
    assert not any("not in the file" in fault for fault in translations.faults("zh-hans"))


def test_a_fuzzy_string_and_a_lost_placeholder_are_faults(locale):
    translations.update("zh-hans")
    path = translations.po_path("zh-hans")
    text = path.read_text(encoding="utf-8")
    text = text.replace('msgid "list price"\nmsgstr ""', '#, fuzzy\nmsgid "list price"\nmsgstr "标价"')
    before = "“%(name)s” is not a time zone, for example Asia/Shanghai."
    text = text.replace(f'msgid "{before}"\nmsgstr ""', f'msgid "{before}"\nmsgstr "“%(nom)s” 不是时区"')
    path.write_text(text, encoding="utf-8")
    faults = translations.faults("zh-hans")
    assert any(fault.startswith("fuzzy: 'list price' (") for fault in faults)
    assert any("is not a time zone" in fault and "not translated" not in fault for fault in faults)


def test_updating_keeps_what_is_translated_and_compiling_makes_it_readable(locale):
    translations.update("zh-hans")
    path = translations.po_path("zh-hans")
    fill(path, {"list price": "标价"})
    translations.update("zh-hans")
    assert 'msgstr "标价"' in path.read_text(encoding="utf-8")
    assert translations.compile_all() == 1
    assert path.with_suffix(".mo").stat().st_size > 0


def test_the_colon_behind_every_label_is_translated_here(locale, settings):
    class TitleForm(forms.Form):
        title = forms.CharField(label="标题")

    translations.update("zh-hans")
    fill(translations.po_path("zh-hans"), {":": "："})
    translations.compile_all()
    settings.LOCALE_PATHS = [locale]  # Django reads it again
    with translation.override("zh-hans"):
        assert ">标题：</label>" in TitleForm()["title"].label_tag()
    assert ">标题:</label>" in TitleForm()["title"].label_tag()
