"""Write profiles/README.md: `python -m tests.profiles_readme`.

Types and defaults come from the structs in tui.model, units and meanings from the comments on their fields, examples
from profiles/template.toml.
"""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tui.model.profile import LaneProfile, Launch, Limits, LoadProfile, Profile, RecordProfile, Step
from tui.profile.reference import field_comments, template_examples, unit_and_meaning

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

```sh
dragstrip profiles new mine           # writes ~/.config/dragstrip/profiles/mine.toml, with every key explained
dragstrip profiles show demo --all    # one that is there, with every key that it does not set as a comment
```

Only `[a]` is required, and `model` in a launch table. An unknown key is an error that names the file, the line and
the nearest known key. This page is written by `python -m tests.profiles_readme`: change the comments in
`tui/model/profile.py`, then run it.
"""
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
        unit, meaning = unit_and_meaning(comments[field.name])
        if meaning[1:2].islower() or meaning[1:2] == " ":
            meaning = meaning[0].lower() + meaning[1:]
        example = examples.get((table, field.name), "")
        cells = (
            f"`{field.name}`",
            type_words(kinds[field.name]),
            unit,
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
