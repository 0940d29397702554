"""Kill -9 a recording program many times: `python -m tests.bench.recording.kills [TIMES]`, 200 by default."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.recording.killing import kill_one, look
from tests.recording.victim import EVERY_S

AT_ONCE = 3


def main() -> None:
    """Kill, look, and print the most that any kill cost."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        for mode in ("live", "closing"):
            seeds = range(times // 2)
            kills = pool.map(lambda seed, mode=mode: kill_one(Path(folder) / mode / str(seed), mode, seed), seeds)
            lost = [look(kill, mode) for kill in kills]
            print(
                f"{len(lost)} kills while {mode}: at most {max(lost) * EVERY_S:.2f} s lost, nothing doubled or torn"
            )


if __name__ == "__main__":
    main()
