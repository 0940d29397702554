"""The user's folders, on hosts that may have no HOME and no entry for the user."""

import os
from pathlib import Path
from typing import Literal

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
        raise UserError(f"this user has no home folder: set HOME or {HOME_ENV}")
    return folder
