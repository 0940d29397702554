"""What dragstrip remembers of its user: `config.toml` in the user's config folder. Never an API key or a prompt."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from tui.model.profile import LaneProfile, Limits, Profile
from tui.model.text import UserError, clean_url
from tui.profile.reading import parse_toml, user_folder

CONFIG_FILE: Final = "config.toml"
MAX_PAIRS: Final = 12
_FIRST_LINE: Final = "# What dragstrip remembers; `dragstrip config` lists every key and what is set.\n"


class UserLimits(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of goodput for sessions whose profile sets none, and limits of the load."""

    max_streams: int | None = None  # [streams] the most that dragstrip keeps busy on one server
    failing_share: float = 0.2  # [share] of the last 50 requests that may fail before a lane is slowed to one stream


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two servers that were watched, or one."""

    a: str = ""  # URL of lane A
    b: str = ""  # URL of lane B; empty: one lane
    profile: str = ""  # name or file of the profile, in place of the URLs
    model: str = ""  # name of the model that was asked for
    api_key_env: str = ""  # name of the environment variable that holds the API key

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from other pairs."""
        return self.profile, self.a, self.b


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be remembered. An empty text leaves the choice to dragstrip."""

    theme: str = ""  # colour theme; empty: the one that suits the terminal. The key `c` sets it
    glyphs: str = ""  # characters of charts; empty: blocks, or ASCII without UTF-8. The key `b` sets it
    window_s: Literal[10, 30, 60, 300] = 30  # [s] window of rates and percentiles. The key `w` sets it
    compare_by: str = ""  # figure that lanes are compared by; empty: output tokens. The key `v` sets it
    bell: bool = True  # ring the terminal's bell and set its title when a lane goes down, or a verdict falls
    keys: dict[str, str] = {}  # keys in place of the usual ones: what a key does, and the key or keys, by commas
    limits: UserLimits = UserLimits()  # limits of goodput where a profile sets none, and limits of the load
    pairs: list[Pair] = []  # servers watched last, newest first


def pair_of(profile: Profile, name: str = "") -> Pair:
    """What to remember of a session: the profile's name where it has one, else the URLs without their secrets."""
    if name:
        return Pair(profile=name)
    b = profile.b or LaneProfile()
    return Pair(
        a=clean_url(_with_scheme(profile.a.url)),
        b=clean_url(_with_scheme(b.url)),
        model=profile.a.model,
        api_key_env=profile.a.api_key_env,
    )


def _with_scheme(url: str) -> str:
    """A password is recognised only behind a scheme."""
    return f"http://{url.removeprefix('//')}" if url and "://" not in url else url


def parse_config(text: str, where: str) -> Config:
    """The config from TOML text; UserError that names the line and the key."""
    config = parse_toml(text, where, Config)
    limits = config.limits
    if limits.max_streams is not None and limits.max_streams < 1:
        raise UserError(f"{where}: limits.max_streams must be at least 1, not {limits.max_streams}")
    if not 0 < limits.failing_share <= 1:
        raise UserError(f"{where}: limits.failing_share is a share above 0 and up to 1, not {limits.failing_share:g}")
    for name, limit in limits.by_metric.items():
        if not 0 < limit < float("inf"):
            raise UserError(f"{where}: limits.{name}_ms is a number of ms above 0, not {limit:g}")
    return config


class UserConfig:
    """The config as it is now. What is set is written at once, into the newest content of the file.

    A file that cannot be read or understood is left alone: the defaults hold, and what is set lasts until the end.
    """

    def __init__(self, path: Path | None = None, config: Config | None = None, problem: str = "") -> None:
        """`path`: None keeps nothing. `problem`: why what is set will not be kept, in one sentence."""
        self.path = path
        self.problem = problem
        self.config = config or Config()

    @classmethod
    def open(cls) -> UserConfig:
        """That of this user."""
        try:
            path = user_folder("config") / CONFIG_FILE
        except UserError as error:
            return cls(problem=f"what you set is not kept: {error}")
        try:
            return cls(path, parse_config(_read(path), str(path)))
        except UserError as error:
            return cls(path, problem=f"{error}; it is left as it is, and the defaults are used")

    def keep(self, **settings: Any) -> str:
        """Set and write these; returns one sentence the first time that they cannot be written, else nothing."""
        self.config = msgspec.structs.replace(self.config, **settings)
        if self.path is None or self.problem:
            return ""
        try:
            text = _read(self.path)
            parse_config(text, str(self.path))
            written = _changed(text, settings)
            if written != text:
                _write(self.path, written)
        except UserError as error:
            self.problem = str(error)
        except OSError as error:
            self.problem = f"{self.path} cannot be written ({error.strerror or error})"
        return f"what you set is not kept: {self.problem}" if self.problem else ""

    def remember(self, pair: Pair) -> str:
        """Put a pair first; the same answer as `keep`."""
        known = [other for other in self._newest_pairs() if other.place != pair.place]
        return self.keep(pairs=[pair, *known][:MAX_PAIRS])

    def _newest_pairs(self) -> list[Pair]:
        """Those in the file, to which another session may have written since."""
        with suppress(UserError):
            if self.path is not None and not self.problem:
                return parse_config(_read(self.path), "").pairs
        return self.config.pairs


def _read(path: Path) -> str:
    """The text; empty where there is no file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({getattr(error, 'strerror', '') or error})") from error


def _changed(text: str, settings: dict[str, Any]) -> str:
    """The text with these settings, and with the operator's comments and order."""
    import tomlkit  # 40 ms, and most sessions set nothing

    document = tomlkit.parse(text or _FIRST_LINE)
    for name, value in settings.items():
        plain = msgspec.to_builtins(value)
        if isinstance(plain, dict):
            _change_table(document.setdefault(name, tomlkit.table()), plain)
        elif isinstance(value, list):
            tables = tomlkit.aot()
            for row in plain:
                tables.append(tomlkit.item({key: item for key, item in row.items() if item not in (None, "")}))
            document.pop(name, None)
            if plain:
                document[name] = tables
        else:
            document[name] = plain
    return tomlkit.dumps(document)


def _change_table(table: Any, plain: dict[str, Any]) -> None:
    for key in [key for key in table if plain.get(key) is None]:
        del table[key]
    for key, item in plain.items():
        if item is not None and item != "" and table.get(key) != item:
            table[key] = item


def _write(path: Path, text: str) -> None:
    """Write atomically. Raises OSError. A link to a file stays a link: such files are kept in repositories."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # two sessions may write at once
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            Path(partial).chmod(path.stat().st_mode & 0o777)
        Path(partial).replace(path)
    except OSError:
        Path(partial).unlink(missing_ok=True)
        raise
