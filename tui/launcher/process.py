"""One engine as a process: its log and its end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tui.model.text import sanitize

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
    async def start(cls, command: Sequence[str], env: Mapping[str, str], log: Path) -> "EngineProcess":
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
