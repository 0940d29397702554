"""Read a profile from its TOML file and check it. An error names file, line, key and what was expected.

Profiles are looked for in the user's folders too, on hosts that may have no HOME and no entry for the user.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import tomli

from tui.model.dials import DIAL, Dials, TrafficKind, check
from tui.model.metrics import MLPERF_LIMITS_MS
from tui.model.profile import SIMULATED, LaneProfile, Profile
from tui.model.text import UserError

HOME_ENV = "DRAGSTRIP_HOME"


def expand(path: str | Path) -> Path:
    """The path with `~` replaced. UserError where there is no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path} needs a home folder, and this user has none: give the whole path") from error


def user_folder(kind: Literal["config", "data", "state"]) -> Path:
    """The folder of dragstrip's files of that kind; $DRAGSTRIP_HOME, if set, but for `config`.

    UserError where there is none.
    """
    if kind != "config" and (home := os.environ.get(HOME_ENV)):
        return expand(home)
    import platformdirs

    paths = {
        "config": platformdirs.user_config_path,
        "data": platformdirs.user_data_path,
        "state": platformdirs.user_state_path,
    }
    try:
        folder = paths[kind]("dragstrip", appauthor=False)
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():  # older releases of platformdirs leave `~` as it is
        place = "XDG_CONFIG_HOME" if kind == "config" else HOME_ENV
        raise UserError(f"this user has no home folder: set HOME or {place}")
    return folder


TEMPLATE = "template.toml"  # in the folder of profiles, and not one of them
MAX_THINK_S = 600.0
MAX_REPEATS = 1000
Problem = tuple[tuple[str, ...], str]  # the path of the key, and one sentence
Prepare = Callable[[dict[str, Any], str, str], None]  # of data as TOML gives it, its text and where that is from
Table = TypeVar("Table", bound=msgspec.Struct)


def shipped_profiles() -> Path:
    """The folder of the profiles that come with dragstrip: in a checkout at its top, else inside the package."""
    package = Path(__file__).parents[1]
    checkout = package.parent / "profiles"
    return checkout if (checkout / "demo.toml").exists() else package / "profiles"


def _profile_folders() -> Iterator[Path]:
    yield Path("profiles")
    with suppress(UserError):  # a user without a home folder has no profiles there
        yield user_folder("config") / "profiles"
    yield shipped_profiles()


def list_profiles() -> dict[str, Path]:
    """Every profile by name; those here go before the user's, which go before the shipped ones."""
    profiles: dict[str, Path] = {}
    for folder in _profile_folders():
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
            if path.name != TEMPLATE:
                profiles.setdefault(path.stem, path)
    return profiles


def find_profile(name: str) -> Path:
    """The file of a profile given by path or name. UserError when there is none."""
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        if path.is_file():
            return path
        raise UserError(f"there is no profile file {name}; `dragstrip profiles` lists those with a name")
    known = list_profiles()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(known))}"
    raise UserError(f"there is no profile `{name}`; {hint}")


def read_profile(name: str) -> Profile:
    """The profile of that name or path, checked. UserError with file, line, key and what was expected."""
    path = find_profile(name)
    return parse_profile(read_text(path), path.name, default_name=path.stem)


def read_text(path: Path) -> str:
    """The text of a profile's file. UserError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def parse_profile(text: str, where: str, default_name: str = "") -> Profile:
    """A profile from TOML text; `where` names it in errors."""
    profile = parse_toml(text, where, Profile, partial(_read_json_bodies, default_name))
    for path, problem in _problems(profile):
        raise UserError(f"{where}:{_line_of(text, path)}: {'.'.join(path)}: {problem}")
    return msgspec.structs.replace(profile, slo=profile.slo.completed())


def parse_toml(text: str, where: str, kind: type[Table], prepare: Prepare = lambda *_: None) -> Table:
    """TOML text as a struct of that kind; `prepare` may change the data first. UserError with `where`, line, key."""
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise UserError(f"{where}:{error.lineno}: this is not TOML: {error.msg}") from error
    prepare(data, text, where)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise UserError(_explain(str(error), text, where, kind)) from error


def _read_json_bodies(default_name: str, data: dict[str, Any], text: str, where: str) -> None:
    """Put the object in the place of each `extra_body` that is a text: JSON has null, which TOML has not."""
    data.setdefault("name", default_name)
    for lane in ("a", "b"):
        table = data.get(lane)
        if not isinstance(table, dict) or not isinstance(written := table.get("extra_body"), str):
            continue
        try:
            table["extra_body"] = msgspec.json.decode(written, type=dict[str, Any])
        except msgspec.DecodeError as error:
            line = _line_of(text, (lane, "extra_body"))
            raise UserError(f"{where}:{line}: {lane}.extra_body: a text must be a JSON object: {error}") from error


def lane_dials(profile: Profile, lane: LaneProfile) -> Dials:
    """The dials a lane starts with: [load], with those the lane overrides."""
    shared = {name: getattr(profile.load, name) for name in Dials.__struct_fields__}
    return msgspec.convert(shared | lane.dials, Dials)


def _problems(profile: Profile) -> Iterator[Problem]:
    """What the types alone cannot express."""
    declared = TrafficKind(file=bool(profile.data.file), times=bool(profile.data.file))
    if problem := check(profile.load, declared):
        yield ("load", problem.split()[0]), problem
    yield from _number_problems(profile)
    yield from _plan_problems(profile)
    if profile.waive:
        from tui.model.settings import ENGINE_SETTING  # a long table that the first paint would wait for

        if unknown := [key for key in profile.waive if key not in ENGINE_SETTING]:
            yield ("waive",), f"nothing is called {unknown[0]}; there are {', '.join(ENGINE_SETTING)}"
    for name, lane in profile.lanes.items():
        if bool(lane.url) == bool(lane.simulate):
            yield (name, "url"), "give either url or simulate, not both and not neither"
        if lane.simulate not in ("", *SIMULATED):
            yield (name, "simulate"), f"expected {' or '.join(SIMULATED)}, got {lane.simulate}"
        for key, problem in _dial_problems(lane.dials):
            yield (name, "dials", key), problem


def _number_problems(profile: Profile) -> Iterator[Problem]:
    if not 0 <= profile.load.think_s <= MAX_THINK_S:
        yield ("load", "think_s"), f"must lie between 0 and {MAX_THINK_S:g} seconds"
    for name in ("connect_timeout_s", "read_timeout_s"):
        timeout_s = getattr(profile.load, name)
        if not 0 < timeout_s < float("inf"):
            yield ("load", name), f"must be a number of seconds above 0, not {timeout_s:g}"
    if not 0 <= profile.load.output_jitter < 1:
        yield ("load", "output_jitter"), f"is a share from 0 to below 1, not {profile.load.output_jitter:g}"
    if not 1 <= profile.repeat <= MAX_REPEATS:
        yield ("repeat",), f"must lie between 1 and {MAX_REPEATS}, not {profile.repeat}"
    if profile.slo.preset not in ("", *MLPERF_LIMITS_MS):
        yield ("slo", "preset"), f"there is no such preset; there are {', '.join(MLPERF_LIMITS_MS)}"
    for name in ("ttft_ms", "tpot_ms", "e2e_ms"):
        limit = getattr(profile.slo, name)
        if limit is not None and not 0 < limit < float("inf"):
            yield ("slo", name), f"a limit is a number of ms above 0, not {limit:g}"
    if profile.delta is not None and not 0 < profile.delta < 1:
        yield ("delta",), f"must lie between 0 and 1, as 0.03 for 3 %, not {profile.delta:g}"


def _plan_problems(profile: Profile) -> Iterator[Problem]:
    for number, step in enumerate(profile.plan, 1):
        if (step.for_s is None) == (step.requests is None):
            yield ("plan",), f"step {number} needs for_s or requests, and only one of them"
        for _, problem in _dial_problems(step.dials):
            yield ("plan",), f"step {number}: {problem}"


def _dial_problems(dials: dict[str, int | float | str]) -> list[tuple[str, str]]:
    unknown = [(key, f"there is no dial {key}; dials are {', '.join(DIAL)}") for key in dials if key not in DIAL]
    if unknown:
        return unknown
    try:
        turned = msgspec.convert(dials, Dials)
    except msgspec.ValidationError as error:
        return [(next(iter(dials)), str(error))]
    anything = TrafficKind(file=True, times=True)  # whether there is such traffic is known once its file is read
    return [(key, problem) for key in dials if (problem := check(turned, anything)) and problem.startswith(key)]


_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<key>[^`]*)`")


def _explain(message: str, text: str, where: str, kind: type) -> str:
    """msgspec's message as one sentence with file, line and key."""
    path = _PATH.search(message)
    keys = re.findall(r"[\w\-]+", re.sub(r"\[[^\]]*\]", "", path["path"])) if path else []
    sentence = _PATH.sub("", message)
    if unknown := _UNKNOWN.search(message):
        keys.append(unknown["key"])
        near = difflib.get_close_matches(unknown["key"], _known_keys(kind, keys[:-1]), 1)
        sentence = "there is no such key" + (f"; did you mean `{near[0]}`?" if near else "")
    elif missing := _MISSING.search(message):
        keys.append(missing["key"])
        sentence = "is missing" + (", add a table [a] with the server's url" if missing["key"] == "a" else "")
    else:
        sentence = sentence[0].lower() + sentence[1:].replace("`", "")
    return f"{where}:{_line_of(text, tuple(keys))}: {'.'.join(keys)}: {sentence}"


def _known_keys(kind: Any, path: list[str]) -> list[str]:
    for key in path:
        fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
        kind = LaneProfile if key in ("a", "b") else fields.get(key)
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return []
    return list(kind.__struct_fields__)


_HEADER = re.compile(r"^\s*\[+\s*([\w.\-\"' ]+?)\s*\]+\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w.\-\"']+)\s*=")


def _line_of(text: str, path: tuple[str, ...]) -> int:
    """Line number (from 1) of the key at `path`, else of the nearest table around it, else 1."""
    best, best_depth = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            here = table = _split(header[1])
        elif key := _KEY.match(line):
            here = (*table, *_split(key[1]))
        else:
            continue
        depth = len(here)
        if here == path[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
