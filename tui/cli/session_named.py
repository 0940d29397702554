"""Which session an argument means: one of the operator's, or one that comes with dragstrip."""

from pathlib import Path

from tui.profile.reading import shipped_profiles
from tui.recording.sessions import is_session, resolve, sessions_root


def shipped_sessions() -> Path:
    """The folder of the sessions that come with dragstrip, recorded on real GPUs."""
    return shipped_profiles() / "sessions"


def session_named(name: str) -> Path | str:
    """A path, a URL, a name or the unique beginning of one. UserError when there is none, or more than one."""
    shipped = shipped_sessions() / name
    own = is_session(Path(name)) or is_session(sessions_root() / name)
    if name.isprintable() and Path(name).name == name and not own and is_session(shipped):
        return shipped
    return resolve(name)
