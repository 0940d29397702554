"""What the READMEs say is there: commands, flags, keys, links, modules, and the keys of a profile."""

import argparse
import re
import shlex
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.keys import _character_to_key

from tests.profiles_readme import profiles_readme
from tui.cli.main import COMMANDS, parser
from tui.model.profile import LaneProfile, Launch, Limits, LoadProfile, Profile, RecordProfile, Step
from tui.profile.reference import field_comments
from tui.ui.app import DragstripApp
from tui.ui.live_screen import LiveScreen
from tui.ui.replay_screen import ReplayScreen
from tui.ui.widgets.dials import Dial

TOP = Path(__file__).parents[1]
READMES = [TOP / name for name in ("README.md", "profiles/README.md", "tests/bench/README.md", "tui/README.md")]
FENCED = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`([^`]+)`")
READ_IN_TWO_MINUTES = 90  # lines
ENGINE_FLAGS = {"--enable-metrics"}  # SGLang's

readmes = pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(TOP)))


def code(text: str) -> list[str]:
    """Every command line and every word in code style, each in one line."""
    lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
    return [*lines, *(" ".join(span.split()) for span in IN_LINE.findall(FENCED.sub("", text)))]


def dragstrip_calls(text: str) -> list[str]:
    """From each command that calls dragstrip, the words after its name."""
    calls = [part for line in code(text) for part in line.split(" && ") if re.match(r"(\S*/)?dragstrip \w", part)]
    return [call.partition("dragstrip ")[2] for call in calls]


def flags() -> set[str]:
    """Every flag of every command."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    known = [flag for command in commands.choices.values() for flag in command._option_string_actions]
    return {*known, "--version"}


def test_the_readme_is_short() -> None:
    assert len(READMES[0].read_text(encoding="utf-8").splitlines()) <= READ_IN_TWO_MINUTES


@readmes
def test_every_command_line_is_one_that_dragstrip_takes(readme: Path) -> None:
    for call in dragstrip_calls(readme.read_text(encoding="utf-8")):
        words = list(takewhile(lambda word: word != ">", shlex.split(call, comments=True)))
        if len(words) == 1:  # the command's name in a sentence
            assert words[0] in COMMANDS
            continue
        _, unknown = parser().parse_known_args(words)
        assert not unknown, call


@readmes
def test_every_flag_exists(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    named = {word.split("=")[0] for span in code(text) if span.startswith("--") for word in span.split()[:1]}
    assert named <= flags() | ENGINE_FLAGS


def test_every_benchmark_is_listed() -> None:
    text = READMES[2].read_text(encoding="utf-8")
    for file in (TOP / "tests" / "bench").glob("*/*.py"):
        if "python -m tests.bench" in file.read_text(encoding="utf-8") and file.stem != "readers":  # throughput's
            assert f"python -m tests.bench.{file.parent.name}.{file.stem}" in text


def anchors(markdown: Path) -> set[str]:
    """The headings of a page, as GitHub writes them in links."""
    headings = re.findall(r"^#+ (.*)$", markdown.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@readmes
def test_every_link_leads_somewhere(readme: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", readme.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        assert (readme.parent / target).exists(), link
        assert not anchor or anchor in anchors(readme.parent / target), link


def test_the_map_has_every_folder() -> None:
    mapped = re.findall(r"^\| `(\w+)` \|", READMES[3].read_text(encoding="utf-8"), re.MULTILINE)
    assert set(mapped) == {file.parent.name for file in (TOP / "tui").glob("*/__init__.py")}


@readmes
def test_every_module_and_test_that_is_named_exists(readme: Path) -> None:
    for line in code(readme.read_text(encoding="utf-8")):
        if module := re.match(r"(?:\S*/)?python -m (tests[\w.]+)(.*)", line):
            spec = find_spec(module[1])
            assert spec is not None, line
            source = Path(str(spec.origin)).read_text(encoding="utf-8")
            assert all(f'"{flag}"' in source for flag in re.findall(r"--[a-z-]+", module[2])), line
        if test := re.match(r"pytest (\S+\.py)", line):
            assert (TOP / test[1]).exists(), line
        if file := re.match(r"(?:tui|tests|profiles|screenshots)/[\w./-]+$", line):
            assert (TOP / file[0]).exists(), line


SHOWN_AS = {"←": "left", "→": "right", "↑": "up", "↓": "down", "esc": "escape"}


def bound_keys(*owners: type) -> set[str]:
    """Every key that one of these, or a class above it, binds; a focused dial takes digits and enter besides."""
    bindings = [
        binding if isinstance(binding, Binding) else Binding(*binding)
        for owner in owners
        for above in owner.__mro__
        for binding in vars(above).get("BINDINGS", [])
    ]
    return {key for binding in bindings for key in binding.key.split(",")}


@pytest.mark.parametrize(
    ("title", "owners"),
    [("live key", (LiveScreen, Dial, DragstripApp)), ("replay key", (ReplayScreen, DragstripApp))],
)
def test_every_key_in_the_tables_does_something(title: str, owners: tuple[type, ...]) -> None:
    text = READMES[0].read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {title} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    shown = [key for row in table.splitlines()[2:] for key in IN_LINE.findall(row.split(" | ")[0])]
    keys = {SHOWN_AS.get(key, _character_to_key(key) if len(key) == 1 else key) for key in shown}
    assert len(keys) > 10
    assert keys - {"enter"} <= bound_keys(*owners)


def test_the_page_of_the_profile_is_that_of_the_model() -> None:
    """When it is not: `python -m tests.profiles_readme`."""
    assert READMES[1].read_text(encoding="utf-8") == profiles_readme()


@pytest.mark.parametrize("struct", [Profile, LaneProfile, LoadProfile, Launch, Limits, RecordProfile, Step])
def test_every_key_of_a_profile_is_explained(struct: type) -> None:
    comments = field_comments(struct)
    assert [name for name in struct.__struct_fields__ if not comments.get(name)] == []  # type: ignore[attr-defined]


def test_the_walks_name_files_that_exist() -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", (TOP / "tui" / "README.md").read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (TOP / "tui" / path).is_file()] == []
