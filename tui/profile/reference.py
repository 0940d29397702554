"""Every key of a profile and of the config: meaning, unit and default, from the structs and the comments in them.

A field's comment, behind it or above it, is `# [unit] meaning`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import tomli
from msgspec.structs import FieldInfo, fields

from tui.model.profile import Profile
from tui.profile.reading import TEMPLATE, find_profile, read_profile, shipped_profiles

WIDTH = 100
_FIELD = re.compile(r"^    (\w+): [^#]*?(?:  # (.*))?$")
_UNIT = re.compile(r"^\[([^\]]+)\] (.*)$")
Struct = type[msgspec.Struct]
Examples = Mapping[tuple[str, str], str]  # TOML values by table, without brackets, and key


def field_comments(struct: Struct) -> dict[str, str]:
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


def unit_and_meaning(comment: str) -> tuple[str, str]:
    unit = _UNIT.match(comment)
    return (unit[1], unit[2]) if unit else ("", comment.removesuffix("."))


def template_examples() -> Examples:
    """The value that the template shows for each (table, key), whether it is on or off there; tables without [ ]."""
    table = ""
    examples: dict[tuple[str, str], str] = {}
    for line in (shipped_profiles() / TEMPLATE).read_text(encoding="utf-8").splitlines():
        if header := re.match(r"^#?\[+([\w.]+)\]+$", line):
            table = header[1]
        elif entry := re.match(r"^#?(\w+) = (.*)$", line):
            examples.setdefault((table, entry[1]), entry[2])
    return examples


def commented_profile(name: str) -> str:
    """A profile as TOML with every key that there is, those not in its file commented out. UserError as reading."""
    read_profile(name)
    data = tomli.loads(find_profile(name).read_text(encoding="utf-8"))
    return commented(data, Profile, template_examples())


def commented(data: Mapping[str, Any], struct: Struct, examples: Examples) -> str:
    """TOML with every key of the struct; one that is not in `data` is a comment with its default or an example."""
    return "\n".join(_Page(examples).table(data, struct, (), is_set=True)).strip("\n") + "\n"


class _Page:
    """Tables with the meaning of each key above it."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def table(self, data: Mapping[str, Any], struct: Struct, path: tuple[str, ...], *, is_set: bool) -> Iterator[str]:
        """Its keys, then the tables in it. What is in a table that is not set is a comment altogether."""
        comments, kinds = field_comments(struct), get_type_hints(struct)
        inner = {field.name: kind for field in fields(struct) if (kind := _struct_in(kinds[field.name])) is not None}
        for field in fields(struct):
            if field.name not in inner:
                yield from _wrapped(*unit_and_meaning(comments[field.name]))
                yield self._key(data, field, path)
        for name, kind in inner.items():
            given = data.get(name)
            brackets = "[[{}]]" if get_origin(kinds[name]) is list else "[{}]"
            for values in given if isinstance(given, list) else [given]:
                sign = "" if is_set and values is not None else "#"
                yield from ("", f"# {comments[name]}", f"{sign}{brackets.format('.'.join((*path, name)))}")
                lines = self.table(values or {}, kind, (*path, name), is_set=not sign)
                yield from (f"{sign}{line}" if line and line[0] != "#" else line for line in lines)

    def _key(self, data: Mapping[str, Any], field: FieldInfo, path: tuple[str, ...]) -> str:
        if field.name in data:
            return f"{field.name} = {_toml(data[field.name])}"
        says_something = isinstance(field.default, bool | int | float | str) and field.default != ""
        table = ".".join(("a", *path[1:]) if path[:1] == ("b",) else path)  # the template explains lane A
        example = _toml(field.default) if says_something else self._examples.get((table, field.name), '""')
        return f"#{field.name} = {example}"


def _wrapped(unit: str, meaning: str) -> list[str]:
    text = f"{unit}: {meaning}" if unit else meaning
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _struct_in(kind: Any) -> Struct | None:
    """The struct that a field holds, or holds several of."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _toml(value: Any) -> str:
    """A value in one line of TOML."""
    import tomlkit

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return str(table.as_string())
    return str(tomlkit.item(value).as_string())
