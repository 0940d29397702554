"""Serve one simulated engine, print its port, and end when stdin does: `python -m tui.simulator --engine vllm`."""

import argparse
import asyncio
import contextlib
import signal
import sys

from tui.simulator.model import PRESETS
from tui.simulator.server import serve


async def _until_stdin_ends(serving: "asyncio.Task[None]") -> None:
    """The parent holds the other end of stdin: when that process is gone, killed or not, stdin ends."""
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
    watching = asyncio.create_task(_until_stdin_ends(serving))
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    watching.cancel()


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 1000:
        raise argparse.ArgumentTypeError("the speed is a factor above 0 and at most 1000")
    return speed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tui.simulator")
    parser.add_argument("--engine", choices=tuple(PRESETS), default="vllm")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=_speed, default=1.0)
    asyncio.run(_main(parser.parse_args()))
