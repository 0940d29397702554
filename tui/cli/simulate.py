"""`dragstrip simulate`: one simulated engine, until interrupted."""

import argparse
import asyncio

from tui.cli.console import print_notice
from tui.model.profile import SIMULATED
from tui.model.text import UserError

HELP = "serve one simulated engine"
MAX_PORT = 65535


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=SIMULATED, default=SIMULATED[0], help=f"engine to imitate (default {SIMULATED[0]})"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="2 = twice as fast as the study's engine (default 1)"
    )


def call(args: argparse.Namespace) -> int:
    from tui.simulator.server import serve

    def ready(port: int) -> None:
        print_notice(f"SIMULATED {args.engine} on http://{args.host}:{port}; stop it with ctrl+c")

    if not 0 <= args.port <= MAX_PORT:
        raise UserError(f"--port is {args.port}, but must lie between 0 and {MAX_PORT}")
    if not 0 < args.speed < float("inf"):
        raise UserError(f"--speed is {args.speed:g}, but must be above 0")
    try:
        asyncio.run(serve(args.engine, args.host, args.port, seed=args.seed, speed=args.speed, on_ready=ready))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot listen on {args.host}:{args.port} ({reason}); --port 0 picks a free port") from error
    return 0
