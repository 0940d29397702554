"""Which processes serve a port: from the port to its listening socket, to the owner, to the owner's descendants.

An engine's port belongs to a parent that holds no GPU memory itself; its workers do. Only Linux's /proc is read.
"""

import socket
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"


def serving_pids(port: int, known: Iterable[int] = (), proc: Path = PROC) -> frozenset[int]:
    """The processes that listen on a TCP port and all their descendants; empty when none can be seen.

    Sockets of another user's processes are seen by root alone, and of another container's by nobody inside. Reading
    every process's open files is slow on a busy host, so those of `known`, an earlier answer, are looked at first.
    """
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return frozenset()
    folders = {int(folder.name): folder for folder in proc.iterdir() if folder.name.isdigit()}
    owners = {pid for pid in known if pid in folders and _holds(folders[pid], inodes)}
    owners = owners or {pid for pid, folder in folders.items() if _holds(folder, inodes)}
    return frozenset(_with_descendants(owners, {pid: _parent(folder) for pid, folder in folders.items()}))


def descendants(pid: int, proc: Path = PROC) -> frozenset[int]:
    """The children of a process, their children and so on, without itself."""
    parents = {int(folder.name): _parent(folder) for folder in proc.iterdir() if folder.name.isdigit()}
    return frozenset(_with_descendants({pid}, parents) - {pid})


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes: set[str] = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            field = line.split()
            if len(field) > 9 and field[3] == _LISTEN and int(field[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{field[9]}]")
    return inodes


def _parent(folder: Path) -> int:
    """The parent's process id, 0 when the process has just ended. The name in brackets may hold anything."""
    try:
        return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _holds(folder: Path, sockets: set[str]) -> bool:
    try:
        return any(_target(link) in sockets for link in (folder / "fd").iterdir())
    except OSError:
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _with_descendants(owners: set[int], parents: dict[int, int]) -> set[int]:
    family, grown = set(owners), True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family} - family
        family |= children
        grown = bool(children)
    return family


def is_this_host(host: str) -> bool:
    """Whether a name or address is one of this machine's own: only those can be bound."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
            return True
    return False
