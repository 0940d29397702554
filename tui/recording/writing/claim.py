"""A folder for a new session, though another began in the same second under the same name."""

from itertools import count
from pathlib import Path

from tui.records.session import SessionInfo


def claim(root: Path, info: SessionInfo) -> Path:
    """Make and return ROOT/NAME, or if that is taken ROOT/NAME_2, NAME_3, …; `info` takes the name that was free."""
    plain = info.name = info.name.replace("/", "_")
    numbers = count(2)
    while _is_taken(root / info.name):
        info.name = f"{plain}_{next(numbers)}"
    return root / info.name


def _is_taken(folder: Path) -> bool:
    """Making a folder either succeeds or finds it there, so that of two programs only one gets a name."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return True
    except OSError:
        return False  # it cannot be written, which the recorder says
    return False
