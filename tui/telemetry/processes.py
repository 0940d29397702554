"""Which processes serve a port: the owners of its listening socket and their descendants. Linux only.

An engine's port belongs to a parent that holds no GPU memory itself; its workers do. /proc is read directly because
psutil names one owner per socket: of a listening socket that several API servers inherit, the last one alone, which
is neither the parent nor an ancestor of the workers.
"""

import socket
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"


def serving_pids(port: int, known: Iterable[int] = (), proc: Path = PROC) -> frozenset[int]:
    """The processes that listen on a TCP port and all their descendants; empty when none is visible.

    Only root sees the sockets of another user's processes, and nobody inside a container those of another one.
    Reading every process's open files is slow on a busy host, so those of `known`, an earlier answer, come first.
    """
    sockets = _listening_sockets(port, proc)
    if not sockets:
        return frozenset()
    owners = {pid for pid in known if _holds(proc / str(pid), sockets)}
    owners = owners or {pid for pid in _pids(proc) if _holds(proc / str(pid), sockets)}
    return frozenset(_families(owners, proc))


def descendants(pid: int, proc: Path = PROC) -> frozenset[int]:
    """The children of a process, their children and so on, without itself."""
    return frozenset(_families({pid}, proc) - {pid})


def is_this_host(host: str) -> bool:
    """Whether a name or address is this machine's own: only those can be bound."""
    try:
        addresses = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
            return True
    return False


def _pids(proc: Path) -> list[int]:
    return [int(path.name) for path in proc.iterdir() if path.name.isdigit()]


def _listening_sockets(port: int, proc: Path) -> set[str]:
    """As the links in a process's `fd` name them."""
    sockets: set[str] = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    return sockets


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(_target(link) in sockets for link in (process / "fd").iterdir())
    except OSError:
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _families(roots: set[int], proc: Path) -> set[int]:
    """The processes and all their descendants."""
    parents = {pid: _parent(proc / str(pid)) for pid in _pids(proc)}
    family, grown = set(roots), set(roots)
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in grown} - family
        family |= grown
    return family


def _parent(process: Path) -> int:
    """The parent's process id; 0 when the process has just ended. The name in brackets may hold anything."""
    try:
        return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
