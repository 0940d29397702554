"""Starts the engines of a profile with one configuration, reports their progress, and stops them in order.

Each engine is a process with a log of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tui.engines.adapt import probe_and_adapt
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.launch import command, shell, stage, startable
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import NotUpError, UserError, sanitize
from tui.net.http import base_url
from tui.telemetry.processes import is_this_host

_POLL_S = 0.25
_TAIL_BYTES = 16_384
# Not `-m`, which would need this package on the engine's own PYTHONPATH when it is not installed.
_KEEPER = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tui.launcher.keeper import main
sys.exit(main(sys.argv[1:]))
"""


class EngineProcess:
    """An engine under its keeper (`launcher.keeper`): it ends when this process does, however that happens."""

    def __init__(self, keeper: asyncio.subprocess.Process, log: Path) -> None:
        self._keeper = keeper
        self.log = log

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], log: Path) -> EngineProcess:
        """Start `command` with `env` added to the environment; its output is appended to `log`."""
        await asyncio.to_thread(log.touch)
        keeper = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _KEEPER,
            str(Path(__file__).parents[2]),
            str(log),
            *command,
            stdin=asyncio.subprocess.PIPE,
            env=os.environ | env,
            start_new_session=True,  # Ctrl-C in the terminal goes to dragstrip, which ends it in order
        )
        return cls(keeper, log)

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._keeper.returncode

    async def ended(self) -> int:
        """Wait for its end and that of everything it started; its exit status."""
        return await self._keeper.wait()

    async def stop(self) -> int:
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        return await self.ended()

    async def lines(self) -> AsyncIterator[str]:
        """The lines of its log as they come, until it ends. Each state of a progress bar is a line."""
        with self.log.open("rb") as log:
            rest = b""
            while True:
                ended = self.status is not None
                *whole, rest = (rest + log.read()).replace(b"\r", b"\n").split(b"\n")
                for line in whole:
                    yield line.decode("utf-8", "replace")
                if ended:
                    return
                await asyncio.sleep(_POLL_S)

    def tail(self, count: int = 12) -> list[str]:
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
        return [line for raw in text.splitlines() if (line := sanitize(raw))][-count:]


Report = Callable[[Lane, str], None]
_RETRY_S = 0.5
_WARM_UP_S = 120  # for the first answer


class EngineDiedError(UserError):
    """An engine ended before it was stopped. `tail` holds the last lines of its log."""

    def __init__(self, lane: Lane, process: EngineProcess) -> None:
        self.tail = process.tail()
        super().__init__(f"lane {lane.upper()}'s engine ended (status {process.status}); its log is {process.log}")


def commands(profile: Profile) -> dict[Lane, tuple[list[str], dict[str, str]]]:
    """The command and environment of each lane that has a launch table. UserError when none has, or one is wrong."""
    lanes = _launched(profile)
    if not lanes:
        raise UserError("no lane of this profile says how to start its engine: add a table [a.launch] with a model")
    return {lane: _command(lane, server) for lane, server in lanes.items()}


def shell_commands(profile: Profile) -> str:
    """The commands ready to paste into a shell, each under a comment."""
    blocks = []
    for lane, (arguments, env) in commands(profile).items():
        server = profile.lanes[lane]
        blocks.append(f"# lane {lane.upper()}: {server.engine} at {base_url(server.url)}\n{shell(arguments, env)}")
    return "\n\n".join(blocks)


class Launcher:
    """The engines of one profile, running while this context is open.

    `report` is called with each new stage of each lane. Logs are kept in `logs`, by default a new temporary folder.
    `together` starts engines at once although they share a GPU: right when neither sizes its KV pool by what is free.
    """

    def __init__(
        self,
        profile: Profile,
        report: Report,
        logs: Path | None = None,
        *,
        together: bool = False,
    ) -> None:
        self._lanes = _launched(profile)
        self._commands = commands(profile)
        self._report = report
        self._together = together
        self.logs = logs or Path(tempfile.mkdtemp(prefix="dragstrip-engines-"))
        self._processes: dict[Lane, EngineProcess] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self._stop(lane, process) for lane, process in self._processes.items()))

    async def _stop(self, lane: Lane, process: EngineProcess) -> None:
        self._report(lane, "stopping")
        await process.stop()
        self._report(lane, "stopped")

    async def start(self) -> dict[Lane, DetectedServer]:
        """Start every engine and wait until each streams. EngineDiedError when one ends first.

        Engines on separate GPUs start together; others one after the other, because each sizes its KV pool by the
        memory that is free at that moment.
        """
        await asyncio.gather(*(_check_address(lane, server) for lane, server in self._lanes.items()))
        if not self._together and not _on_separate_gpus(self._lanes.values()):
            return {lane: await self._start(lane) for lane in self._lanes}
        starts = {lane: asyncio.create_task(self._start(lane)) for lane in self._lanes}
        try:
            return dict(zip(starts, await asyncio.gather(*starts.values()), strict=True))
        finally:
            for task in starts.values():
                task.cancel()
            await asyncio.wait(starts.values())

    async def ended(self) -> None:
        """Wait until an engine ends by itself: EngineDiedError."""
        waits = {asyncio.ensure_future(process.ended()): lane for lane, process in self._processes.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        lane = waits[done.pop()]
        raise EngineDiedError(lane, self._processes[lane])

    async def _start(self, lane: Lane) -> DetectedServer:
        kind = self._lanes[lane].engine
        log = self.logs / f"{lane}-{kind}.log"
        process = self._processes[lane] = await EngineProcess.start(*self._commands[lane], log)
        self._report(lane, f"starting, its log is {log}")
        follow = asyncio.create_task(self._follow_log(lane, kind, process))
        try:
            return await self._wait_until_ready(lane, process)
        finally:
            follow.cancel()
            await asyncio.wait([follow])

    async def _follow_log(self, lane: Lane, kind: str, process: EngineProcess) -> None:
        latest = ""
        async for line in process.lines():
            if (text := stage(kind, line)) and text != latest:
                latest = text
                self._report(lane, text)

    async def _wait_until_ready(self, lane: Lane, process: EngineProcess) -> DetectedServer:
        """Ask as the load will until it streams: an engine that answers /v1/models may still be warming up."""
        reported = ""
        while process.status is None:
            try:
                server, _ = await probe_and_adapt(await detect_lane(self._lanes[lane]), timeout_s=_WARM_UP_S)
            except UserError as error:
                # Of one that is not up the log says it better.
                if str(error) != reported and not isinstance(error, NotUpError):
                    reported = str(error)
                    self._report(lane, reported)
                await asyncio.sleep(_RETRY_S)
            else:
                for sentence in ("ready", *server.info.adapted):
                    self._report(lane, sentence)
                return server
        raise EngineDiedError(lane, process)


def _launched(profile: Profile) -> dict[Lane, LaneProfile]:
    return {lane: server for lane, server in profile.lanes.items() if server.launch is not None}


def _command(lane: Lane, server: LaneProfile) -> tuple[list[str], dict[str, str]]:
    if server.launch is None or not server.url:
        raise UserError(f"lane {lane.upper()} needs a url: its engine is started at that host and port")
    if not server.engine:
        raise UserError(f"lane {lane.upper()} needs engine, the kind to start: {', '.join(startable())}")
    host, port = _host_and_port(server)
    return command(server.engine, server.launch, port, host=host, served_name=server.model)


def _host_and_port(server: LaneProfile) -> tuple[str, int]:
    parts = urlsplit(base_url(server.url))
    return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)


async def _check_address(lane: Lane, server: LaneProfile) -> None:
    """UserError when the engine would not run here, or something runs there already: that would be measured."""
    host, port = _host_and_port(server)
    if not await asyncio.to_thread(is_this_host, host):
        raise UserError(
            f"lane {lane.upper()}'s url is on another host: print its command with --print and run it there"
        )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(probe, (host, port)), 2)
        except OSError:
            return
    raise UserError(
        f"something answers already at {base_url(server.url)}: stop it, or give lane {lane.upper()} another port"
    )


def _on_separate_gpus(servers: Collection[LaneProfile]) -> bool:
    """Whether every engine has GPUs that no other uses."""
    gpus = [server.launch.gpus if server.launch is not None else [] for server in servers]
    named = [gpu for each in gpus for gpu in each]
    return all(gpus) and len(set(named)) == len(named)
