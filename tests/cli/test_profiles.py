"""`dragstrip profiles`: the list, and a new profile from four answers."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tui.cli.main import main
from tui.profile.reading import list_profiles, parse_profile, read_profile
from tui.profile.writing import Answers, profile_text
from tui.session.launch.launcher import printed


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


def test_every_comment_of_a_new_profile_is_a_setting_that_holds() -> None:
    text = profile_text(Answers("http://one:1", "http://two:2", 4, ""))
    told = parse_profile(re.sub(r"^# ", "", text, flags=re.MULTILINE), "all of it")
    assert (told.mode, told.a.usage, told.load.arrival, told.slo.ttft_ms) == ("alternate", "each", "poisson", 500)
    assert told.a.launch is not None
    assert told.a.launch.kv_tokens == 65536


@pytest.mark.parametrize(
    "lines",
    [
        ("http://one:1", "", "many", ""),
        ("http://one:1",),
        ("", "", "99999", ""),
        ("ftp://one",),
        ("http://me:secret@one:1",),
        ("", "", "", "sk-a-key-itself"),
    ],
)
def test_answers_that_make_none_write_nothing(
    lines: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, tmp_path, *lines)
    assert main(["profiles", "new", "bad"]) == 2
    assert not (tmp_path / "profiles" / "bad.toml").exists()


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, tmp_path, "", "", "", "")
    assert main(["profiles", "new", "../elsewhere"]) == 2
    assert not list(tmp_path.iterdir())


def test_at_a_terminal_it_asks_again_and_what_it_writes_can_be_run(tmp_path: Path) -> None:
    """Through a real terminal: four questions, one answer wrong at first."""
    main_end, terminal_end = pty.openpty()
    command = [sys.executable, "-m", "tui", "profiles", "new", "mine.toml"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=terminal_end, stdout=terminal_end, stderr=terminal_end, cwd=tmp_path, env=environment
    ) as process:
        os.close(terminal_end)
        seen = ""
        for question, typed in (
            ("lane A's URL [http://127.0.0.1:8000]: ", "vllm://one"),
            ("lane A's URL [http://127.0.0.1:8000]: ", "one:8001"),
            ("lane B's URL, - for none [http://127.0.0.1:30000]: ", ""),
            ("streams at once [32]: ", "8"),
            ("holds the API key, - for none [-]: ", "SOME_KEY"),
        ):
            while not seen.endswith(question):
                seen += os.read(main_end, 4096).decode()
            seen = ""
            os.write(main_end, f"{typed}\n".encode())
        assert process.wait(timeout=30) == 0
    os.close(main_end)
    path = tmp_path / "profiles" / "mine.toml"
    profile = read_profile(str(path))
    assert (profile.name, profile.a.url, profile.load.concurrency) == ("mine", "http://one:8001", 8)
    assert profile.b is not None
    assert profile.b.api_key_env == "SOME_KEY"
    commented = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    assert any(line.startswith("[a.launch]") for line in commented)
