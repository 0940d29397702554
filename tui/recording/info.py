"""What is known of a session besides its rows, in `session.toml` and in the metadata of each Parquet file.

A Parquet file that is taken out of its folder still describes its session.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomli_w

from tui.model.session import SCHEMA, SessionInfo
from tui.model.text import UserError
from tui.recording.durable import write_atomically

SESSION_FILE = "session.toml"
SESSION_KEY = "dragstrip.session"
SIMULATED_KEY = "dragstrip.simulated"


def write_info(directory: Path, info: SessionInfo) -> None:
    """Write `session.toml` atomically. Raises OSError."""
    write_atomically(directory / SESSION_FILE, tomli_w.dumps(without_none(msgspec.to_builtins(info))).encode())


def read_info(directory: Path) -> SessionInfo:
    """Read `session.toml`.

    Raises OSError when it is not there, ValueError when it is torn, and UserError when a newer dragstrip wrote it.
    """
    return _parse_info(tomli.loads((directory / SESSION_FILE).read_text("utf-8")), str(directory))


def parquet_metadata(info: SessionInfo) -> dict[str, str]:
    """Key-value metadata for a Parquet file: the content of `session.toml` as JSON, and whether it is simulated."""
    return {
        SESSION_KEY: msgspec.json.encode(info).decode(),
        SIMULATED_KEY: "true" if info.simulated else "false",
    }


def info_from_metadata(metadata: Mapping[str, str], where: str) -> SessionInfo | None:
    """The session that a Parquet file's metadata describe, if any. Raises UserError as `read_info` does."""
    text = metadata.get(SESSION_KEY)
    if text is None:
        return None
    try:
        return _parse_info(msgspec.json.decode(text), where)
    except ValueError:
        return None


def without_none(value: Any) -> Any:
    """The same value without what is None, at any depth: TOML has no null, and its default takes its place."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_none(inner) for inner in value if inner is not None]
    return value


def _parse_info(raw: dict[str, Any], where: str) -> SessionInfo:
    version = raw.get("schema", SCHEMA)
    if isinstance(version, int) and version > SCHEMA:
        raise UserError(
            f"{where} was recorded by a newer dragstrip (schema {version}, this one reads up to {SCHEMA}): "
            "update dragstrip to open it"
        )
    return msgspec.convert(raw, SessionInfo)
