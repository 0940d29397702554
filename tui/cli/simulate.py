"""`dragstrip simulate`: one simulated engine, until interrupted."""

import argparse
import asyncio

from tui.cli.output import complain

HELP = "serve one simulated engine"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which engine, and where."""
    parser.add_argument("--engine", choices=("vllm", "sglang"), default="vllm", help="whose manners it takes on")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="seed of its jitter")
    parser.add_argument("--speed", type=float, default=1.0, help="2 serves twice as fast as the study's engine")


def call(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from tui.simulator.server import serve

    def ready(port: int) -> None:
        complain(f"SIMULATED {args.engine} on http://{args.host}:{port}; end it with ctrl+c")

    asyncio.run(serve(args.engine, args.host, args.port, seed=args.seed, speed=args.speed, on_ready=ready))
    return 0
