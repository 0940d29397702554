"""`session.toml`: what is known of a session besides its rows."""

from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomli_w

from tui.model.session import SCHEMA, LaneInfo, SessionInfo
from tui.model.text import UserError
from tui.recording.durable import write_atomically
from tui.recording.redact import clean_url, scrub, secrets_of, without_secrets

FILE = "session.toml"


def without_secrets_in(info: SessionInfo) -> SessionInfo:
    """The same session, fit to be written down."""
    secrets = secrets_of(info.profile)

    def lane(of: LaneInfo) -> LaneInfo:
        told = {name: scrub(getattr(of, name), secrets) for name in ("version", "model")}
        return msgspec.structs.replace(of, url=clean_url(of.url), **told)

    return msgspec.structs.replace(
        info,
        profile=without_secrets(info.profile),
        lanes={name: lane(of) for name, of in info.lanes.items()},
        ended=scrub(info.ended, secrets),
    )


def write_info(directory: Path, info: SessionInfo) -> None:
    """Write `session.toml`, in whole or not at all. Raises OSError."""
    write_atomically(directory / FILE, tomli_w.dumps(_without_none(msgspec.to_builtins(info))).encode())


def read_info(directory: Path) -> SessionInfo:
    """Read `session.toml`.

    Raises OSError when it is not there, ValueError when it is torn, and UserError when a newer dragstrip wrote it.
    """
    return info_of(tomli.loads((directory / FILE).read_text("utf-8")), str(directory))


def info_of(raw: dict[str, Any], where: str) -> SessionInfo:
    """What a `session.toml` says, once read. Raises ValueError and UserError as `read_info` does."""
    written = raw.get("schema", SCHEMA)
    if isinstance(written, int) and written > SCHEMA:
        raise UserError(
            f"{where} was recorded by a newer dragstrip (schema {written}, this one reads up to {SCHEMA}): "
            "update dragstrip to open it"
        )
    return msgspec.convert(raw, SessionInfo)


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out, and its default stands for it."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value if inner is not None]
    return value
