"""Says of a session's folder whether somebody is recording into it; a killed recorder lets go by itself."""

import fcntl
import os
from pathlib import Path

FILE = "recording.lock"


class Lock:
    """Held by the one who writes into a session's folder, or by a reader who mends it."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raises BlockingIOError when another process or thread has it, OSError otherwise."""
        self._path = directory / FILE
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Let go, and leave no trace in the folder."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def is_held(directory: Path) -> bool:
    """Whether somebody records into this folder now."""
    try:
        file = os.open(directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
