"""Which session an argument means: one of the operator's, or one that comes with dragstrip."""

from pathlib import Path

from tui.profile.reading import shipped_profiles
from tui.recording.home import sessions_root
from tui.recording.sessions import resolve
from tui.records.errors import UserError


def shipped_sessions() -> Path:
    """The folder of the sessions that come with dragstrip, recorded on real GPUs."""
    return shipped_profiles() / "sessions"


def session_named(name: str) -> Path:
    """A path, a name or the unique beginning of one. UserError when there is none, or more than one.

    The operator's own go before those that come with dragstrip.
    """
    if "://" in name:  # not repeated in the sentence: it may hold a signature
        raise UserError(
            "a session is read from a folder, not from a URL: copy it here first, "
            "or read its tables with Polars (pl.scan_parquet)"
        )
    try:
        return resolve(name)
    except UserError as error:
        if not any(path.name.startswith(name) for path in sessions_root().glob("*/")) and _shipped(name):
            return resolve(name, shipped_sessions())
        if near := _near(name):
            raise UserError(f"there is no session {name!r}; did you mean {near!r}?") from error
        raise


def _shipped(name: str) -> bool:
    return any(path.name.startswith(name) for path in shipped_sessions().glob("*/")) if name else False


def _near(name: str) -> str:
    """The name that a misspelt one may mean; empty where several begin with it, of which one has been told."""
    import difflib

    names = [path.name for root in (sessions_root(), shipped_sessions()) for path in root.glob("*/")]
    if any(known.startswith(name) for known in names):
        return ""
    return next(iter(difflib.get_close_matches(name, names, 1)), "")
