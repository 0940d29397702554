"""`python -m tui.simulator --engine vllm`: serve one simulated engine, print its port, end when stdin does."""

import argparse
import asyncio
import contextlib
import signal
import sys

from tui.simulator.model import PRESETS
from tui.simulator.server import serve


async def _cancel_when_stdin_ends(serving: "asyncio.Task[None]") -> None:
    """The parent holds the other end of stdin, which ends with that process, killed or not."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    serving.cancel()


async def _main(args: argparse.Namespace) -> None:
    def ready(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serving = asyncio.create_task(
        serve(args.engine, "127.0.0.1", args.port, seed=args.seed, speed=args.speed, on_ready=ready)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    watching = asyncio.create_task(_cancel_when_stdin_ends(serving))
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    watching.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tui.simulator")
    parser.add_argument("--engine", choices=tuple(PRESETS), default="vllm")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0)
    asyncio.run(_main(parser.parse_args()))
