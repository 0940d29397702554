"""Starts the engines of a profile with one configuration, says how far they are, and ends them in order."""

import asyncio
import re
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.launch import command, shell, stage, startable
from tui.engines.probe import probe_stream
from tui.launcher.process import EngineProcess
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.net.http import base_url
from tui.telemetry.processes import is_this_host

Command = tuple[list[str], dict[str, str]]
Tell = Callable[[Lane, str], None]
_ASK_S = 0.5
_STARTING = re.compile(r"^nobody answers| is not ready \(")  # what its log says better


class EngineDiedError(UserError):
    """An engine ended before it was told to. `tail` is what its log said last."""

    def __init__(self, lane: Lane, process: EngineProcess) -> None:
        self.lane: Lane = lane
        self.tail = process.tail()
        super().__init__(f"lane {lane.upper()}'s engine ended (status {process.status}); its log is {process.log}")


def commands(profile: Profile) -> dict[Lane, Command]:
    """The command and environment of each lane that has a launch table. UserError when none has, or one is wrong."""
    found = {lane: _command(lane, server) for lane, server in _launched(profile).items()}
    if not found:
        raise UserError("no lane of this profile says how to start its engine: add a table [a.launch] with a model")
    return found


def printed(profile: Profile) -> str:
    """The commands ready to paste into a shell, each under a comment."""
    blocks = []
    for lane, (arguments, env) in commands(profile).items():
        server = _launched(profile)[lane]
        blocks.append(f"# lane {lane.upper()}: {server.engine} at {base_url(server.url)}\n{shell(arguments, env)}")
    return "\n\n".join(blocks)


class Launcher:
    """The engines of one profile, running while this context is open.

    `tell` hears of each new stage of each lane. Logs are kept in `logs`, by default a new temporary folder.
    `together` starts engines at once although they share a GPU: right when neither sizes its KV pool by what is free.
    """

    def __init__(self, profile: Profile, tell: Tell, logs: Path | None = None, *, together: bool = False) -> None:
        self._profile = profile
        self._together = together
        self._commands = commands(profile)
        self._tell = tell
        self.logs = logs or Path(tempfile.mkdtemp(prefix="dragstrip-engines-"))
        self._processes: dict[Lane, EngineProcess] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self._stop(lane, process) for lane, process in self._processes.items()))

    async def _stop(self, lane: Lane, process: EngineProcess) -> None:
        self._tell(lane, "stopping")
        await process.stop()
        self._tell(lane, "stopped")

    async def start(self) -> dict[Lane, DetectedServer]:
        """Start every engine and wait until each streams. EngineDiedError when one ends first.

        Engines on GPUs of their own start together; others one after the other, because each sizes its KV pool by
        the memory that is free at that moment.
        """
        servers = _launched(self._profile)
        await asyncio.gather(*(_check_place(lane, server) for lane, server in servers.items()))
        if self._together or _apart(list(servers.values())):
            return await self._start_together(servers)
        return {lane: await self._start(lane, server) for lane, server in servers.items()}

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

    async def _start_together(self, servers: dict[Lane, LaneProfile]) -> dict[Lane, DetectedServer]:
        starts = [asyncio.create_task(self._start(lane, server)) for lane, server in servers.items()]
        try:
            return dict(zip(servers, await asyncio.gather(*starts), strict=True))
        finally:
            for start in starts:
                start.cancel()
            await asyncio.wait(starts)

    async def _start(self, lane: Lane, server: LaneProfile) -> DetectedServer:
        arguments, env = self._commands[lane]
        log = self.logs / f"{lane}-{server.engine}.log"
        process = self._processes[lane] = await EngineProcess.start(arguments, env, log)
        self._tell(lane, f"starting, its log is {log}")
        follow = asyncio.create_task(self._follow(lane, server.engine, process))
        try:
            return await self._ready(lane, server, process)
        finally:
            follow.cancel()
            await asyncio.wait([follow])

    async def _follow(self, lane: Lane, kind: str, process: EngineProcess) -> None:
        told = ""
        async for line in process.lines():
            now = stage(kind, line)
            if now and now != told:
                told = now
                self._tell(lane, now)

    async def _ready(self, lane: Lane, server: LaneProfile, process: EngineProcess) -> DetectedServer:
        """Ask until it streams: an engine that answers /v1/models may still be warming up."""
        trouble = ""
        while process.status is None:
            try:
                found = await detect_lane(server)
                await probe_stream(found, timeout_s=120)
            except UserError as error:
                if str(error) != trouble and not _STARTING.search(str(error)):
                    trouble = str(error)
                    self._tell(lane, trouble)
                await asyncio.sleep(_ASK_S)
            else:
                self._tell(lane, "ready")
                return found
        raise EngineDiedError(lane, process)


def _launched(profile: Profile) -> dict[Lane, LaneProfile]:
    return {lane: server for lane, server in profile.lanes.items() if server.launch is not None}


def _command(lane: Lane, server: LaneProfile) -> Command:
    if server.launch is None or not server.url:
        raise UserError(f"lane {lane.upper()} needs a url: its engine is started at that host and port")
    if not server.engine:
        raise UserError(f"lane {lane.upper()} needs engine, the kind to start: {', '.join(startable())}")
    host, port = _place(server)
    return command(server.engine, server.launch, port, host=host, served_name=server.model)


def _place(server: LaneProfile) -> tuple[str, int]:
    parts = urlsplit(base_url(server.url))
    return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)


async def _check_place(lane: Lane, server: LaneProfile) -> None:
    """UserError when the engine would not run here, or something is in its place: that would be measured instead."""
    host, port = _place(server)
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


def _apart(servers: list[LaneProfile]) -> bool:
    """Whether every engine has GPUs that no other uses."""
    gpus = [server.launch.gpus if server.launch is not None else [] for server in servers]
    named = [gpu for own in gpus for gpu in own]
    return all(gpus) and len(set(named)) == len(named)
