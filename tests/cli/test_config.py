"""`dragstrip config`: where the settings are, what is set, and every key there is."""

import pytest
import tomli

from tui.cli.main import main
from tui.profile.config import Config, Pair, UserConfig, parse_config
from tui.profile.reference import field_comments


def test_it_prints_where_what_is_set_and_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    opened = UserConfig.open()
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# {opened.path}  (nothing is set)")
    assert tomli.loads(out) == {}
    assert all(f"\n#{name} = " in out or f"[{name}]" in out for name in Config.__struct_fields__)
    opened.keep(theme="light", keys={"window": "f2"})
    opened.remember(Pair(a="http://x:1"))
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert parse_config(out, "out") == opened.config
    assert "#   concurrency-up       ]" in out
    assert "nothing is set" not in out


def test_it_says_what_is_wrong_with_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    opened = UserConfig.open()
    opened.keep(keys={"windw": "f2"})
    assert main(["config"]) == 2
    assert "[keys] has no windw; did you mean window?" in capsys.readouterr().err
    assert opened.path is not None
    opened.path.write_text("theme =")
    assert main(["config"]) == 2
    assert "config.toml:1: this is not TOML" in capsys.readouterr().err


def test_every_key_is_explained() -> None:
    assert all(field_comments(Config)[name] for name in Config.__struct_fields__)
