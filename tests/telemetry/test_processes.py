"""From a port to the processes behind it."""

import subprocess
import sys
from pathlib import Path

from tui.telemetry.processes import is_this_host, serving_pids

SERVER = """
import socket, subprocess, sys
server = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(server.getsockname()[1], child.pid, flush=True)
sys.stdin.read()
child.communicate()
"""


def test_a_real_server_and_its_child_are_detected() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port, child = map(int, server.stdout.readline().split())
        assert serving_pids(port) == {server.pid, child}
        server.communicate()
    assert serving_pids(port) == frozenset()


INHERITED = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
children = [os.fork()]
if children[0]:
    children.append(os.fork())
if 0 in children:
    if len(children) == 2:
        server.close()  # a worker; the other child serves too
    sys.stdin.read()
    os._exit(0)
print(server.getsockname()[1], *children, flush=True)
sys.stdin.read()
"""


def test_a_socket_that_a_second_server_process_inherits_leads_to_the_whole_family() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INHERITED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port, *children = map(int, server.stdout.readline().split())
        assert serving_pids(port) == {server.pid, *children}
        server.communicate()


def _process(proc: Path, pid: int, parent: int, name: str = "python3", socket: str = "") -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1")
    if socket:
        (proc / str(pid) / "fd" / "7").symlink_to(socket)


def test_grandchildren_strange_names_and_other_peoples_sockets(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        head
        + row.format(port=8001, state="0A", inode=555)
        + row.format(port=8001, state="01", inode=777)  # a client of that port
        + row.format(port=9999, state="0A", inode=888)
    )
    _process(tmp_path, 10, 1, socket="socket:[555]")
    _process(tmp_path, 11, 10, "VLLM::EngineCor")
    _process(tmp_path, 12, 11, "a) S 1 (b")
    _process(tmp_path, 20, 1, socket="socket:[777]")
    _process(tmp_path, 30, 1, socket="socket:[888]")
    (tmp_path / "40").mkdir()  # it ended while we looked
    (tmp_path / "self").mkdir()
    assert serving_pids(8001, proc=tmp_path) == {10, 11, 12}
    assert serving_pids(8002, proc=tmp_path) == frozenset()


def test_an_earlier_answer_is_looked_at_first_but_not_believed(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "head\n   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 555 1\n"
    )
    _process(tmp_path, 10, 1, socket="socket:[555]")
    _process(tmp_path, 11, 10)
    _process(tmp_path, 50, 1, socket="socket:[555]")  # a second listener, which a full look would find
    assert serving_pids(8001, {10, 11}, tmp_path) == {10, 11}
    assert serving_pids(8001, {11, 99}, tmp_path) == {10, 11, 50}


def test_which_names_are_this_host() -> None:
    assert is_this_host("127.0.0.1")
    assert is_this_host("localhost")
    assert not is_this_host("203.0.113.7")
    assert not is_this_host("no-such-host.invalid")
