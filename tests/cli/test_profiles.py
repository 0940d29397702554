"""`dragstrip profiles`: the list, and a new profile from four answers."""

import io
from pathlib import Path

import pytest

from tui.cli.main import main
from tui.profile.reading import list_profiles, read_profile
from tui.session.launch import printed


def test_the_list_has_a_sentence_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list_profiles()) >= 11
    assert all(len(line.split(None, 1)) == 2 for line in lines)
    assert "cannot be used" not in "\n".join(lines)


@pytest.mark.parametrize("name", ["cpu-pair", "llama-8b", "llama-70b-fp8", "mixture", "shared-gpu"])
def test_each_pair_that_can_be_launched_has_two_commands(name: str) -> None:
    text = printed(read_profile(name))
    assert "vllm serve" in text
    assert "sglang.launch_server" in text


def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_four_answers_make_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, tmp_path, "http://one:1", "", "7", "MY_KEY")
    assert main(["profiles", "new", "pair"]) == 0
    profile = read_profile("pair")
    assert profile.a.url == "http://one:1"
    assert profile.b is not None
    assert profile.b.url == "http://127.0.0.1:30000"
    assert profile.load.concurrency == 7
    assert profile.a.api_key_env == "MY_KEY"
    assert "dragstrip watch pair" in capsys.readouterr().out


def test_one_lane_alone_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, tmp_path, "", "-", "", "")
    assert main(["profiles", "new", "alone"]) == 0
    profile = read_profile("alone")
    assert profile.b is None
    assert profile.a.api_key_env == ""


@pytest.mark.parametrize("lines", [("http://one:1", "", "many", ""), ("http://one:1",), ("", "", "99999", "")])
def test_answers_that_make_none_write_nothing(
    lines: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, tmp_path, *lines)
    assert main(["profiles", "new", "bad"]) == 2
    assert not (tmp_path / "profiles" / "bad.toml").exists()
