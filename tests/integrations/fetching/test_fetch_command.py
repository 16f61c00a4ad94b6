import json

import pytest
from django.core.management import CommandError, call_command

from integrations.models import Credential
from monitoring.models import Observation

pytestmark = pytest.mark.django_db


def test_the_last_line_is_a_summary_for_machines(connect, capsys):
    channel = connect(count=5, name="天猫旗舰店")
    call_command("fetch", "--json")
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert (summary["read"], summary["changed"]) == (5, 5)
    assert summary["channels"][0] == {
        "channel": channel.name, "read": 5, "changed": 5, "missing": 0, "failed": 0, "problems": []
    }  # fmt: skip
    assert "\r" not in err, "no progress bar where there is no terminal"


def test_only_all_reads_what_is_not_due(connect, capsys):
    connect(count=5)
    for arguments, read in ((), 5), ((), 0), (("--all",), 5):
        call_command("fetch", "--json", *arguments)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["read"] == read
    assert Observation.objects.count() == 5


def test_a_stopped_channel_is_read_only_when_it_is_named(connect, capsys):
    channel = connect(count=2, is_watched=False)
    call_command("fetch")
    assert "No channel is watched." in capsys.readouterr().out
    call_command("fetch", "--channel", channel.name, "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["read"] == 2


def test_a_problem_is_one_plain_line_and_an_exit_code(connect, capsys):
    channel = connect(count=2)
    Credential.objects.update(app_secret="wrong")
    with pytest.raises(SystemExit) as ended:
        call_command("fetch", "--json")
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert [line for line in err.splitlines() if line.startswith(f"{channel.name}: ")]
    assert "Traceback" not in err + out
    assert "wrong" not in out
    assert json.loads(out.splitlines()[-1])["channels"][0]["problems"][0]["kind"] == "fatal"


def test_an_unknown_channel_is_named(db):
    with pytest.raises(CommandError, match="There is no channel named “Shop”"):
        call_command("fetch", "--channel", "Shop")
