"""`dragstrip profiles`: the list, and the template of a new profile."""

import re

import msgspec
import pytest

from tui.cli.main import main
from tui.launcher.launcher import shell_commands
from tui.model.profile import LaneProfile, Launch, Limits, LoadProfile, Profile, RecordProfile, Step
from tui.profile.reading import list_profiles, parse_profile, read_profile


def test_the_list_has_a_sentence_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list_profiles()) >= 11
    assert all(len(line.split(None, 1)) == 2 for line in lines)
    assert "cannot be used" not in "\n".join(lines)


@pytest.mark.parametrize("name", ["cpu-pair", "llama-8b", "llama-70b-fp8", "mixture", "shared-gpu"])
def test_each_pair_that_can_be_launched_has_two_commands(name: str) -> None:
    text = shell_commands(read_profile(name))
    assert "vllm serve" in text
    assert "sglang.launch_server" in text


def printed_template(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["profiles", "new"]) == 0
    return capsys.readouterr().out


def test_the_template_is_a_profile_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    profile = parse_profile(printed_template(capsys), "template.toml", "mine")
    assert profile.b is not None
    assert (profile.name, profile.a.url, profile.b.url) == ("mine", "http://127.0.0.1:8000", "http://127.0.0.1:30000")
    assert profile.load.concurrency == 32


def test_every_setting_of_the_template_that_is_off_can_be_turned_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed_template(capsys)
    switched_on = re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)
    profile = parse_profile(switched_on.replace('simulate = "vllm"\n', ""), "template.toml")
    assert (profile.mode, profile.a.usage, profile.load.arrival, profile.slo.ttft_ms) == (
        "alternate",
        "each",
        "poisson",
        500,
    )
    assert profile.a.launch is not None
    assert profile.a.launch.kv_tokens == 65536
    assert len(profile.plan) == 2


def test_the_template_has_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed_template(capsys)
    tables: tuple[type[msgspec.Struct], ...] = (
        Profile,
        LaneProfile,
        LoadProfile,
        Limits,
        RecordProfile,
        Step,
        Launch,
    )
    assert {key for table in tables for key in table.__struct_fields__} == set(
        re.findall(r"^#?\[*(?:a\.)?(\w+)(?: = |\]+$)", text, re.MULTILINE)
    )


def test_the_template_is_no_profile_that_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "template" not in list_profiles()
    assert main(["profiles", "new", "mine"]) == 2
    assert "does not take mine" in capsys.readouterr().err
