"""Where a session's files are: in a folder, or behind a URL that Polars can read."""

from pathlib import Path
from typing import Protocol

import polars as pl

from tui.recording.durable import TORN_SUFFIX
from tui.recording.folders import current, heal, is_cut_off
from tui.recording.info import read_info
from tui.recording.lock import FILE as LOCK_FILE
from tui.recording.lock import Lock, is_held
from tui.recording.parts import is_whole
from tui.recording.redact import clean_url, scrub, secrets_in_url
from tui.recording.sessions import is_session
from tui.records.errors import UserError
from tui.records.session import SessionInfo
from tui.records.tables import TABLES, TableName
from tui.records.text import clean


class Files(Protocol):
    """The files of one session."""

    name: str
    where: str

    def heal(self) -> list[str]:
        """Put right what a killed recorder left half done; returns what could not be, each in one sentence."""
        ...

    def live(self) -> bool:
        """Whether the session is still being recorded."""
        ...

    def info(self) -> SessionInfo | None:
        """What `session.toml` says, as `recording.info.read_info` does; None where nothing can tell."""
        ...

    def whole(self, table: TableName, missing: list[str]) -> list[str]:
        """The readable files of a table, oldest first; the others are named in `missing`, once each."""
        ...


class LocalFiles:
    """A session's folder on this machine."""

    def __init__(self, directory: Path) -> None:
        """Raises UserError when this is no session's folder."""
        if not is_session(directory):
            raise UserError(f"{directory} is no session's folder: `dragstrip sessions` lists what there is")
        self.directory = directory
        self.name = directory.resolve().name
        self.where = str(directory)
        self._known_whole: dict[Path, tuple[int, int]] = {}

    def heal(self) -> list[str]:
        """See `Files`. Only what nobody is writing is touched; what cannot be touched is read as it is."""
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
        """See `Files`."""
        return is_held(self.directory)

    def info(self) -> SessionInfo | None:
        """See `Files`."""
        return read_info(self.directory)

    def whole(self, table: TableName, missing: list[str]) -> list[str]:
        """See `Files`."""
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


class RemoteFiles:
    """A closed session on object storage or a web server: s3://, gs://, az://, https://, also behind a signed URL."""

    def __init__(self, url: str) -> None:
        path, self._mark, self._query = url.partition("?")
        self._url = path.rstrip("/")
        self._secrets = secrets_in_url(url)
        self.where = clean_url(self._url)
        self.name = self.where.rpartition("/")[2]
        self._there: dict[str, bool] = {}

    def heal(self) -> list[str]:
        """See `Files`. Nothing is written there."""
        return []

    def live(self) -> bool:
        """See `Files`. Only a folder of this machine can be followed."""
        return False

    def info(self) -> SessionInfo | None:
        """See `Files`. The tables' files tell it: Polars reads nothing but tables from there."""
        return None

    def whole(self, table: TableName, missing: list[str]) -> list[str]:
        """See `Files`. A web server lists no folder: it is the file that closing a session leaves."""
        source = f"{self._url}/{table}/{table}.parquet{self._mark}{self._query}"
        if source not in self._there:
            try:
                pl.read_parquet_schema(source)
                self._there[source] = True
            except FileNotFoundError:  # a session without chunks has no such file
                self._there[source] = False
            except (OSError, pl.exceptions.PolarsError) as error:
                self._there[source] = False
                missing.append(f"{table} could not be read ({clean(scrub(str(error), self._secrets))})")
        return [source] if self._there[source] else []
