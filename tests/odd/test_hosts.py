"""Kinds 3 and 8: a name of several addresses, a trust store of one's own, and hosts that lack what others have."""

import os
import pwd
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.odd.drive import bare_plan, load
from tests.odd.endings import SIX
from tests.odd.server import DONE, OddServer, serving, stream, usage
from tests.odd.unmended import marks
from tui.cli.main import main
from tui.engines.detect import detect_lane
from tui.model.profile import LaneProfile

CERTIFICATE = Path(__file__).parent.parent / "load" / "localhost.pem"
GOOD = OddServer(3, "good", stream(*SIX, usage(6), DONE), plan={"connect_timeout_s": 0.5})


def unanswered() -> list[socket.socket]:
    """A socket that listens at 127.0.0.2 and takes no connection, and those that fill its queue."""
    full = socket.socket()
    full.bind(("127.0.0.2", 0))
    full.listen(0)
    clients = [socket.socket() for _ in range(3)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(full.getsockname())
    return [full, *clients]


@pytest.mark.parametrize(
    ("dead", "by"),
    [
        pytest.param(dead, by, marks=marks("addresses", f"{dead}, {by}"))
        for dead in ("refuses", "does not answer")
        for by in ("doctor", "load")
    ],
)
async def test_any_address_of_a_name_may_be_dead(dead: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = unanswered()
    lookup = socket.getaddrinfo

    async with serving(GOOD) as running:
        first = sockets[0].getsockname()[1] if dead == "does not answer" else 1

        def both(host: str, *args: Any, **more: Any) -> Any:
            if host not in ("two.test", b"two.test"):
                return lookup(host, *args, **more)
            if int(more.get("flags", 0)) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            stream_socket = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*stream_socket, ("127.0.0.2", first)), (*stream_socket, ("127.0.0.1", running.port))]

        monkeypatch.setattr(socket, "getaddrinfo", both)
        running.url = f"http://two.test:{running.port}"
        if by == "doctor":
            assert (await detect_lane(LaneProfile(url=running.url), timeout_s=1)).info.model == "m"
        else:
            brought = await load(bare_plan(GOOD, running), 1)
            assert [row.outcome for row in brought.rows] == ["ok"], brought.rows[0].detail
    for each in sockets:
        each.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="only openssl names a certificate by its hash")
@pytest.mark.parametrize("by", [pytest.param(by, marks=marks("trust folder", by)) for by in ("doctor", "load")])
async def test_a_folder_of_certificates_is_trusted(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(CERTIFICATE)], capture_output=True, text=True, check=True
    )
    shutil.copy(CERTIFICATE, tmp_path / f"{named.stdout.strip()}.0")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    async with serving(GOOD, tls=context) as running:
        if by == "doctor":
            assert (await detect_lane(LaneProfile(url=running.url), timeout_s=2)).info.model == "m"
        else:
            brought = await load(bare_plan(GOOD, running), 1)
            assert [row.outcome for row in brought.rows] == ["ok"], brought.rows[0].detail


def nobody(_: object) -> NoReturn:
    raise KeyError("getpwuid(): uid not found: 54321")


def bare(patch: pytest.MonkeyPatch, **given: str) -> None:
    """Only these variables, and no entry for this user."""
    for name in ("HOME", "DRAGSTRIP_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR"):
        patch.delenv(name, raising=False)
    for name, value in given.items():
        patch.setenv(name, value)
    patch.setattr(pwd, "getpwuid", nobody)
    patch.setattr(pwd, "getpwnam", nobody)


def a_file(folder: Path) -> str:
    path = folder / "file"
    path.write_text("no folder")
    return str(path)


def gone(folder: Path) -> str:
    path = folder / "gone"
    path.mkdir()
    os.chdir(path)
    path.rmdir()
    return str(folder)


Environment = Callable[[Path], dict[str, str]]
HOSTS: dict[str, Environment] = {
    "HOME is empty": lambda _: {"HOME": ""},
    "only XDG_DATA_HOME": lambda folder: {"XDG_DATA_HOME": str(folder / "data")},
    "XDG_DATA_HOME is relative": lambda folder: {"XDG_DATA_HOME": "data", "HOME": str(folder)},
    "DRAGSTRIP_HOME is a file": lambda folder: {"DRAGSTRIP_HOME": a_file(folder), "HOME": str(folder)},
    "XDG_CONFIG_HOME is a file": lambda folder: {"XDG_CONFIG_HOME": a_file(folder), "HOME": str(folder)},
    "DRAGSTRIP_HOME under no HOME": lambda _: {"DRAGSTRIP_HOME": "~/sessions"},
    "TMPDIR is missing": lambda folder: {"TMPDIR": str(folder / "none"), "HOME": str(folder)},
    "the folder we are in is gone": lambda folder: {"HOME": gone(folder)},
}
COMMANDS = {
    "profiles": ["profiles"],
    "sessions": ["sessions"],
    "report": ["report", "no-such-session"],
    "run": ["run", "--a", "http://127.0.0.1:9", "--for", "1s", "--no-record"],
    "run recorded": ["run", "--a", "http://127.0.0.1:9", "--for", "1s"],
}


@pytest.mark.parametrize(
    ("host", "command"),
    [
        pytest.param(host, command, id=f"{host}-{command}", marks=marks("host", f"{host}, {command}"))
        for host in HOSTS
        for command in COMMANDS
    ],
)
def test_what_a_host_lacks_is_one_sentence_and_never_a_traceback(
    host: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    bare(monkeypatch, **HOSTS[host](tmp_path))
    code = main(COMMANDS[command])
    errors = capsys.readouterr().err
    assert code in (0, 2)
    assert len(errors.splitlines()) == 1 or (code == 0 and not errors), errors
    if command.startswith("run"):
        assert code == 2
    if command == "run":
        assert "nobody answers" in errors, "without a record no folder is needed"
    left = {path.name for path in set(tmp_path.iterdir()) - before}
    assert not any("~" in name for name in left), left
