"""A bundle: a session, its report and its pictures in one `.dragstrip` file, which `replay` and `report` open.

It is a ZIP archive with one folder, named after the session: `session.toml` and the tables as in a session's folder,
and `report.html`, `report.md`, `charts.svg` beside them for whoever unpacks it. Of a bundle only the session is read,
and only names that a session has are unpacked: an archive from somebody else must not write anywhere else.
"""

from __future__ import annotations

import atexit
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.model.rows import TABLES
from tui.model.text import UserError, sanitize
from tui.recording.catalog import SESSION_FILE

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

SUFFIX: Final = ".dragstrip"
_TABLE_FILE: Final = re.compile(rf"(?:{'|'.join(TABLES)})/[A-Za-z0-9][A-Za-z0-9._-]*\.parquet")
_EXTRAS: Final = re.compile(r"(?:report|charts)(?:\.SIMULATED)?\.[a-z]{2,5}")
_FOLDER: Final = re.compile(r"[^/\\\0]{1,200}")
_COMPRESSED: Final = frozenset({".parquet", ".png"})
_COPIED_BYTES: Final = 1 << 20
MAX_FILES: Final = 10_000


def pack(path: Path, folder: Path) -> None:
    """Pack everything in a folder, under its name. What is compressed already is only stored."""
    from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

    with ZipFile(path, "x") as bundle:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            how = ZIP_STORED if file.suffix in _COMPRESSED else ZIP_DEFLATED
            bundle.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}", compress_type=how)


def open_bundle(path: Path) -> Path:
    """The session's folder, unpacked until this program ends.

    Raises UserError for a file that is no bundle, is damaged, holds a name that no session has, or does not fit.
    """
    from zipfile import BadZipFile, ZipFile

    place = Path(tempfile.mkdtemp(prefix="dragstrip-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    try:
        with ZipFile(path) as bundle:
            members = _session_members(bundle, path)
            _check_room(members, path, place)
            for member in members:
                _unpack(bundle, member, place, path)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path} is no bundle of dragstrip, or it is damaged ({sanitize(str(error))})") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror or sanitize(str(error))})") from error
    return place / Path(members[0].filename).parts[0]


def _session_members(bundle: ZipFile, path: Path) -> list[ZipInfo]:
    """The files of the session, every name of the archive checked."""
    members = [member for member in bundle.infolist() if not member.is_dir()]
    if not members or len(members) > MAX_FILES:
        raise UserError(f"{path} is no bundle of dragstrip: it holds {len(members)} files")
    folders, session = set(), []
    for member in members:
        folder, _, name = member.filename.partition("/")
        if not _is_allowed(folder, name) or stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG}:
            raise UserError(f"{path} is refused: it holds {sanitize(member.filename, 80)!r}, which no session does")
        folders.add(folder)
        if not _EXTRAS.fullmatch(name):
            session.append(member)
    if len(folders) > 1 or len({member.filename for member in session}) < len(session):
        raise UserError(f"{path} is refused: it holds more than one session, or a file twice")
    if not any(member.filename.endswith(f"/{SESSION_FILE}") for member in session):
        raise UserError(f"{path} is no bundle of dragstrip: it holds no {SESSION_FILE}")
    return session


def _is_allowed(folder: str, name: str) -> bool:
    if not _FOLDER.fullmatch(folder) or folder in {".", ".."}:
        return False
    return name == SESSION_FILE or bool(_TABLE_FILE.fullmatch(name) or _EXTRAS.fullmatch(name))


def _check_room(members: Iterable[ZipInfo], path: Path, place: Path) -> None:
    wanted, free = sum(member.file_size for member in members), shutil.disk_usage(place).free
    if wanted > free:
        raise UserError(f"{path} needs {wanted / 1e9:.1f} GB in {place.parent}, where {free / 1e9:.1f} GB are free")


def _unpack(bundle: ZipFile, member: ZipInfo, place: Path, path: Path) -> None:
    """Never more than the archive said, which is what there is room for."""
    target = place / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with bundle.open(member) as source, target.open("xb") as file:
        while part := source.read(_COPIED_BYTES):
            left -= len(part)
            if left < 0:
                raise UserError(f"{path} is refused: {sanitize(member.filename, 80)!r} is larger than it says")
            file.write(part)
