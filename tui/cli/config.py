"""`dragstrip config`: where the user's settings are, and what is set."""

import argparse

import tomli

from tui.cli.console import print_notice, print_result
from tui.profile.config import Config, UserConfig

HELP = "where your settings are kept, what is set, and every key there is"
EXAMPLES = {
    ("", "theme"): '"light"',
    ("", "glyphs"): '"braille"',
    ("", "compare_by"): '"ttft_p95"',
    ("", "keys"): '{ window = "f2", quit = "q,f10" }',
    ("limits", "preset"): '"llama3.1-8b"',
    ("limits", "ttft_ms"): "500",
    ("limits", "tpot_ms"): "30",
    ("limits", "e2e_ms"): "10000",
    ("limits", "max_streams"): "64",
    ("pairs", "a"): '"http://127.0.0.1:8000"',
    ("pairs", "b"): '"http://127.0.0.1:30000"',
    ("pairs", "profile"): '"mine"',
    ("pairs", "model"): '"org/model"',
    ("pairs", "api_key_env"): '"MY_KEY"',
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def call(_args: argparse.Namespace) -> int:
    """Print it all as one TOML file, what is not set as comments; 2 where the file cannot be used."""
    from textual.binding import Binding

    from tui.profile.reference import commented
    from tui.ui.keys import LIVE_KEYS, REPLAY_KEYS, keys_problem
    from tui.ui.widgets.header import key_sign

    opened = UserConfig.open()
    text = ""
    if opened.path is not None and opened.path.is_file() and not opened.problem:
        text = opened.path.read_text(encoding="utf-8")
    print_result(
        f"# {opened.path or 'nowhere: this user has no home folder'}{'' if text else '  (nothing is set)'}\n"
    )
    print_result(commented(tomli.loads(text), Config, EXAMPLES))
    names: dict[str, list[str]] = {}
    for binding in Binding.make_bindings([*LIVE_KEYS, *REPLAY_KEYS]):
        keys = names.setdefault(binding.id or "", [])
        if key_sign(binding.key) not in keys:
            keys.append(key_sign(binding.key))
    print_result("# What [keys] can name, and the usual keys:")
    for name, keys in names.items():
        print_result(f"#   {name:<20} {' '.join(keys)}")
    problem = opened.problem or keys_problem(opened.config.keys, LIVE_KEYS)
    if problem:
        print_notice(f"dragstrip: {problem}")
    return 2 if problem else 0
