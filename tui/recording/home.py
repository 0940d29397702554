"""Where sessions are kept."""

import os
from pathlib import Path
from typing import Final

HOME_ENV: Final = "DRAGSTRIP_HOME"


def sessions_root() -> Path:
    """The folder of all sessions: under $DRAGSTRIP_HOME if that is set, else in the user's data folder."""
    if home := os.environ.get(HOME_ENV):
        return Path(home) / "sessions"
    import platformdirs

    return platformdirs.user_data_path("dragstrip", appauthor=False) / "sessions"
