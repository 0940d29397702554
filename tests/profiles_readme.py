"""Write profiles/README.md: `python -m tests.profiles_readme`.

Types and defaults come from the structs in tui.model, units and meanings from the comments on their fields
(`# [unit] meaning`, behind a field or above it), examples from profiles/template.toml.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tui.model.profile import LaneProfile, Launch, Limits, LoadProfile, Profile, RecordProfile, Step

PROFILES = Path(__file__).parents[1] / "profiles"
# (table in the template, heading, a sentence below it, struct)
TABLES: tuple[tuple[str, str, str, type[msgspec.Struct]], ...] = (
    ("", "Top of the file", "These keys come before the first table.", Profile),
    ("a", "`[a]` and `[b]`: the lanes", "Each lane has either `url` or `simulate`.", LaneProfile),
    (
        "a.launch",
        "`[a.launch]` and `[b.launch]`: how to start the engine",
        "For `dragstrip launch`. A key that is not given is left to the engine's default.",
        Launch,
    ),
    ("load", "`[load]`: the load", "The first seven keys are the dials, as the session starts.", LoadProfile),
    ("slo", "`[slo]`: latency limits for goodput", "A limit that is not given always counts as met.", Limits),
    ("record", "`[record]`: the recording", "Prompts and answers are never recorded.", RecordProfile),
    ("plan", "`[[plan]]`: the steps of a plan", "One `[[plan]]` table for each step, in order.", Step),
)
HEAD = """\
# Profiles

A profile is one TOML file: two servers, the load, and how to judge them. `dragstrip profiles` lists those with a
name: the files in `./profiles`, in `~/.config/dragstrip/profiles`, and here. Flags override a profile.
`dragstrip profiles new` prints a template with every key:

```sh
dragstrip profiles new > mine.toml
dragstrip watch mine.toml
```

Only `[a]` is required, and `model` in a launch table. An unknown key is an error that names the file, the line and
the nearest known key. This page is written by `python -m tests.profiles_readme`: change the comments in
`tui/model/profile.py`, then run it.
"""
_FIELD = re.compile(r"^    (\w+): [^#]*?(?:  # (.*))?$")
_UNIT = re.compile(r"^\[([^\]]+)\] (.*)$")


def field_comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The comment behind or above each field of the struct, by the field's name."""
    comments: dict[str, str] = {}
    above: list[str] = []
    bases = (base for base in reversed(struct.__mro__) if base.__module__.startswith("tui."))
    for line in (line for base in bases for line in inspect.getsource(base).splitlines()):
        if line.startswith("    # "):
            above.append(line[6:])
            continue
        if field := _FIELD.match(line):
            comments[field[1]] = field[2] or " ".join(above)
        above = []
    return comments


def template_examples() -> dict[tuple[str, str], str]:
    """The value that the template shows for each (table, key), whether it is on or off there; tables without [ ]."""
    table = ""
    examples: dict[tuple[str, str], str] = {}
    for line in (PROFILES / "template.toml").read_text(encoding="utf-8").splitlines():
        if header := re.match(r"^#?\[+([\w.]+)\]+$", line):
            table = header[1]
        elif entry := re.match(r"^#?(\w+) = (.*)$", line):
            examples.setdefault((table, entry[1]), entry[2])
    return examples


WORDS = {str: "string", int: "integer", float: "number", bool: "true or false", dict: "table"}


def type_words(kind: Any) -> str:
    """A field's type as a person who writes TOML calls it."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        parts = [type_words(arg) for arg in args if arg is not NoneType]
        return " or ".join(part for part in parts if part)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in args if value)
    if origin is list:
        return "tables" if issubclass(args[0], msgspec.Struct) else f"list of {type_words(args[0])}s"
    return WORDS.get(origin or kind, "table")


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """A field's default in TOML; nothing when it is empty, since the meaning says what that does."""
    value = field.default
    if field.required:
        return "required"
    if value is None or value in ("", msgspec.NODEFAULT) or isinstance(value, msgspec.Struct):
        return ""
    return f"`{str(value).lower()}`"


def rows(table: str, struct: type[msgspec.Struct]) -> Iterator[str]:
    """The Markdown rows of one table of a profile."""
    comments, kinds, examples = field_comments(struct), get_type_hints(struct), template_examples()
    for field in msgspec.structs.fields(struct):
        unit = _UNIT.match(comments[field.name])
        meaning = unit[2] if unit else comments[field.name].removesuffix(".")
        if meaning[1:2].islower() or meaning[1:2] == " ":
            meaning = meaning[0].lower() + meaning[1:]
        example = examples.get((table, field.name), "")
        cells = (
            f"`{field.name}`",
            type_words(kinds[field.name]),
            unit[1] if unit else "",
            default_text(field),
            f"`{example}`" if example else "below",
            meaning,
        )
        yield f"| {' | '.join(cells)} |"


def profiles_readme() -> str:
    """The text of profiles/README.md."""
    parts = [HEAD]
    for table, heading, sentence, struct in TABLES:
        lines = ["| key | value | unit | default | example | meaning |", "|---|---|---|---|---|---|"]
        parts.append(f"\n## {heading}\n\n{sentence}\n\n" + "\n".join([*lines, *rows(table, struct)]) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    (PROFILES / "README.md").write_text(profiles_readme(), encoding="utf-8")
