"""`dragstrip profiles`: the list, and the template of a new profile."""

import re
from pathlib import Path

import msgspec
import pytest
import tomli

from tui.cli.main import main
from tui.launcher.launcher import shell_commands
from tui.model.profile import DataProfile, LaneProfile, Launch, Limits, LoadProfile, Profile, RecordProfile, Step
from tui.profile.reading import list_profiles, parse_profile, read_profile, shipped_profiles
from tui.profile.reference import commented_profile


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
        DataProfile,
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
    assert main(["profiles", "new", "mine", "more"]) == 2
    assert "does not take more" in capsys.readouterr().err


def test_a_new_profile_goes_to_the_users_folder_and_overwrites_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profiles", "new", "mine"]) == 0
    path = tmp_path / "config" / "dragstrip" / "profiles" / "mine.toml"
    assert f"wrote {path}" in capsys.readouterr().err
    assert list_profiles()["mine"] == path
    path.write_text("[a]\nurl = 'http://x'\n")
    assert main(["profiles", "new", "mine"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "[a]\nurl = 'http://x'\n"
    assert main(["profiles", "new", "../mine"]) == 2
    assert "is no name of a profile" in capsys.readouterr().err


def test_a_profile_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "show", "demo"]) == 0
    assert capsys.readouterr().out == (shipped_profiles() / "demo.toml").read_text()
    assert main(["profiles", "show", "demmo"]) == 2
    assert "did you mean `demo`?" in capsys.readouterr().err
    assert main(["profiles", "show"]) == 2


@pytest.mark.parametrize("name", sorted(list_profiles()))
def test_a_profile_with_every_key_means_the_same_and_names_each(name: str) -> None:
    text = commented_profile(name)
    assert parse_profile(text, "x.toml", name) == read_profile(name)
    tables: tuple[type[msgspec.Struct], ...] = (
        Profile,
        LaneProfile,
        LoadProfile,
        Launch,
        Limits,
        RecordProfile,
        Step,
    )
    keys = {field.name for table in tables for field in msgspec.structs.fields(table)}
    written = set(re.findall(r"^#?(\w+) = |^#?\[+(?:[ab]\.)?(\w+)\]+$", text, re.MULTILINE))
    assert keys <= {key for pair in written for key in pair}


def test_what_is_not_set_can_be_switched_on_as_it_stands() -> None:
    """A line without its # is TOML, with a value of the right kind."""
    text = commented_profile("demo")
    for line in re.findall(r"^#(\w+ = .*)$", text, re.MULTILINE):
        tomli.loads(line)
