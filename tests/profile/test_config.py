"""What is remembered: kept with its user's comments, never a secret, and a broken file is left alone."""

import pwd
from pathlib import Path

import pytest

from tui.model.profile import LaneProfile, Profile
from tui.model.text import UserError
from tui.profile.config import MAX_PAIRS, Config, Pair, UserConfig, UserLimits, pair_of, parse_config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the config of this test's user is; the folder is not there yet."""
    return tmp_path / "config" / "dragstrip" / "config.toml"


def test_nothing_is_set_and_nothing_written_at_first(path: Path) -> None:
    opened = UserConfig.open()
    assert (opened.path, opened.config, opened.problem) == (path, Config(), "")
    assert not path.parent.exists()


def test_what_is_set_is_there_again(path: Path) -> None:
    limits = UserLimits(ttft_ms=500, max_streams=64)
    pair = Pair(a="http://x:1", b="http://x:2", model="m")
    opened = UserConfig.open()
    said = [opened.keep(theme="dark", window_s=60), opened.keep(limits=limits), opened.remember(pair)]
    assert said == ["", "", ""]
    assert UserConfig.open().config == opened.config == Config(theme="dark", window_s=60, limits=limits, pairs=[pair])
    opened.keep(glyphs="block", limits=UserLimits())
    again = UserConfig.open().config
    assert (again.glyphs, again.limits, again.pairs) == ("block", UserLimits(), [pair])
    assert list(path.parent.iterdir()) == [path]


def test_comments_and_order_are_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text('# mine\nwindow_s = 60 # a minute\n\n[keys]\nhelp = "f1" # as elsewhere\n')
    UserConfig.open().keep(window_s=10, theme="light")
    text = path.read_text()
    assert "# mine\nwindow_s = 10 # a minute\n" in text
    assert '[keys]\nhelp = "f1" # as elsewhere\n' in text
    assert UserConfig.open().config == Config(window_s=10, theme="light", keys={"help": "f1"})


def test_two_sessions_do_not_undo_each_other() -> None:
    one, other = UserConfig.open(), UserConfig.open()
    one.keep(theme="dark")
    one.remember(Pair(a="http://one"))
    other.keep(window_s=10)
    other.remember(Pair(a="http://other"))
    config = UserConfig.open().config
    assert (config.theme, config.window_s, [pair.a for pair in config.pairs]) == (
        "dark",
        10,
        ["http://other", "http://one"],
    )


def test_a_pair_that_is_used_again_comes_first_and_old_ones_go() -> None:
    opened = UserConfig.open()
    for number in [*range(MAX_PAIRS + 3), 5]:
        opened.remember(Pair(a=f"http://host:{number}"))
    pairs = [pair.a for pair in UserConfig.open().config.pairs]
    assert pairs[:2] == ["http://host:5", f"http://host:{MAX_PAIRS + 2}"]
    assert len(set(pairs)) == len(pairs) == MAX_PAIRS


def test_no_secret_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    a = LaneProfile(url="http://me:hush@x:1/v1?token=sk-1#y", api_key_env="MY_KEY", headers={"Authorization": "sk-2"})
    pair = pair_of(Profile(a=a, b=LaneProfile(url="me:hush@y:2")))
    UserConfig.open().remember(pair)
    assert pair == Pair(a="http://x:1/v1", b="http://y:2", api_key_env="MY_KEY")
    text = path.read_text()
    assert not [secret for secret in ("hush", "sk-", "me:") if secret in text]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("window_s = 31", "c.toml:1: window_s: "),
        ("\nthem = 'x'", "c.toml:2: them: there is no such key; did you mean `theme`?"),
        ("[limits]\nttft = 3", "c.toml:2: limits.ttft: there is no such key; did you mean `ttft_ms`?"),
        ("[limits]\nmax_streams = 0", "limits.max_streams must be at least 1"),
        ("[limits]\nfailing_share = 20", "limits.failing_share is a share"),
        ("[limits]\nttft_ms = 0", "limits.ttft_ms is a number of ms above 0"),
        ("theme = ", "c.toml:1: this is not TOML"),
        ("[[pairs]]\nkey = 'sk'", "c.toml:2: pairs.key: there is no such key"),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$") as raised:
        parse_config(text, "c.toml")
    assert sentence in str(raised.value)


def test_a_broken_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"theme = \xff")
    opened = UserConfig.open()
    assert opened.config == Config()
    assert opened.problem.startswith(f"{path} cannot be read")
    assert opened.keep(theme="dark") == ""  # it was said already
    assert opened.config.theme == "dark"
    assert path.read_bytes() == b"theme = \xff"


def test_a_file_broken_while_it_runs_is_left_alone_and_said_once(path: Path) -> None:
    opened = UserConfig.open()
    opened.keep(theme="dark")
    path.write_text("theme = ")
    assert "this is not TOML" in opened.keep(window_s=10)
    assert opened.keep(window_s=60) == ""
    assert path.read_text() == "theme = "


def test_a_folder_that_cannot_be_written_is_said_once(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file")  # also root cannot write below it
    opened = UserConfig.open()
    said = opened.problem or opened.keep(theme="dark")
    assert str(path) in said
    assert opened.keep(window_s=10) == ""
    assert opened.config.window_s == 10


def test_it_works_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    opened = UserConfig.open()
    assert "home folder" in opened.problem
    assert opened.keep(theme="dark") == ""
    assert opened.config.theme == "dark"


def test_a_link_stays_a_link_and_its_file_keeps_its_mode(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles" / "dragstrip.toml"
    kept.parent.mkdir()
    kept.write_text("bell = false\n")
    kept.chmod(0o640)
    path.parent.mkdir(parents=True)
    path.symlink_to(kept)
    UserConfig.open().keep(theme="dark")
    assert path.is_symlink()
    assert kept.read_text() == 'bell = false\ntheme = "dark"\n'
    assert oct(kept.stat().st_mode & 0o777) == "0o640"
