"""The files of a session's folder, whatever state its recorder left them in."""

from pathlib import Path

from tui.recording.durable import TORN_SUFFIX
from tui.recording.folders import current, heal, is_cut_off
from tui.recording.info import read_info
from tui.recording.lock import FILE as LOCK_FILE
from tui.recording.lock import Lock, is_held
from tui.recording.parts import is_whole
from tui.recording.sessions import is_session
from tui.records.errors import UserError
from tui.records.session import SessionInfo
from tui.records.tables import TABLES, TableName


class SessionFiles:
    """The files of one session in its folder."""

    def __init__(self, directory: Path) -> None:
        """Raises UserError when this is no session's folder."""
        if not is_session(directory):
            raise UserError(f"{directory} is no session's folder: `dragstrip sessions` lists what there is")
        self.directory = directory
        self.name = directory.resolve().name
        self._known_whole: dict[Path, tuple[int, int]] = {}

    def heal(self) -> list[str]:
        """Put right what a killed recorder left half done; returns what could not be, each in one sentence.

        Only what nobody is writing is touched; what cannot be touched is read as it is.
        """
        if not self._needs_healing():
            return []
        try:
            lock = Lock(self.directory)
        except OSError:  # it is being recorded, or may not be written here
            return []
        try:
            for table in TABLES:
                heal(self.directory / table)
            for torn in self.directory.rglob(f"*{TORN_SUFFIX}"):
                torn.unlink()
        except OSError as error:
            return [f"{self.directory} could not be put right ({error.strerror})"]
        finally:
            lock.release()
        return []

    def _needs_healing(self) -> bool:
        """Whether a recorder left something behind, or is at work."""
        left = [self.directory / LOCK_FILE, *self.directory.rglob(f"*{TORN_SUFFIX}")]
        return any(path.exists() for path in left) or any(is_cut_off(self.directory / table) for table in TABLES)

    def live(self) -> bool:
        """Whether the session is still being recorded."""
        return is_held(self.directory)

    def info(self) -> SessionInfo:
        """What `session.toml` says, as `recording.info.read_info` does."""
        return read_info(self.directory)

    def whole(self, table: TableName, missing: list[str]) -> list[str]:
        """The readable files of a table, oldest first; the others are named in `missing`, once each."""
        found = []
        for path in sorted(current(self.directory / table).glob("*.parquet")):
            if self._is_whole(path):
                found.append(str(path))
            elif path.exists() and (line := f"{table}/{path.name} is torn and left out") not in missing:
                missing.append(line)
        return found

    def _is_whole(self, path: Path) -> bool:
        """Looks into a file only once for as long as it does not change."""
        try:
            stat = path.stat()
        except OSError:
            return False
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._known_whole.get(path) != stamp:
            if not is_whole(path):
                return False
            self._known_whole[path] = stamp
        return True
