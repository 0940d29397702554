"""What each Parquet file of a session says of the session, so that a file taken out of its folder still tells."""

from collections.abc import Mapping

import msgspec

from tui.recording.info import info_of
from tui.records.session import SessionInfo

SESSION_KEY = "dragstrip.session"
SIMULATED_KEY = "dragstrip.simulated"


def metadata_of(info: SessionInfo) -> dict[str, str]:
    """Key-value metadata for a Parquet file: the content of `session.toml` as JSON, and whether it is simulated."""
    return {
        SESSION_KEY: msgspec.json.encode(info).decode(),
        SIMULATED_KEY: "true" if info.simulated else "false",
    }


def info_from(metadata: Mapping[str, str], where: str) -> SessionInfo | None:
    """The session that a file's metadata tells of, if any. Raises UserError when its schema is a newer one."""
    text = metadata.get(SESSION_KEY)
    if text is None:
        return None
    try:
        return info_of(msgspec.json.decode(text), where)
    except ValueError:
        return None
