"""Does the verdict name a winner only where there is one? End to end, on simulated engines.

    python -m tests.bench.analysis.same_server [--runs 20] [--at-once 3] [--for 140]

Runs one engine's simulator against itself, each run with another seed, and counts the winners named; then the
presets of the published study at 100 streams, where SGLang, lane B, is the faster one. Exit code 1 unless at most a
tenth of the equal runs name a winner and the study names B.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SAME = '[a]\nsimulate = "vllm"\n\n[b]\nsimulate = "vllm"\n\n[load]\nprompt_tokens = 256\noutput_tokens = 64\n'
STUDY = '[a]\nsimulate = "vllm"\n\n[b]\nsimulate = "sglang"\n\n[load]\nprompt_tokens = 50\noutput_tokens = 64\n'


def ran(profile: Path, seconds: int, seed: int, streams: int) -> dict[str, Any]:
    """The summary of one run, in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "tui", "run", str(profile), "--for", f"{seconds}s", "--json", "--no-record",
         "--seed", str(seed), "--max-concurrency", str(streams)],
        capture_output=True, check=True, text=True, timeout=seconds + 120,
    )  # fmt: skip
    printed: dict[str, Any] = json.loads(process.stdout)
    return printed


def line_of(name: str, printed: dict[str, Any]) -> str:
    """One line of a run."""
    verdict, tps = printed["verdict"], [lane["output_tps"] for lane in printed["lanes"].values()]
    ratio = (
        "" if verdict["ratio"] is None else f"{verdict['ratio']:.4f} [{verdict['low']:.4f}, {verdict['high']:.4f}]"
    )
    return f"{name:8} A {tps[0]:8.1f}  B {tps[1]:8.1f} tok/s  {verdict['word']:14} {ratio} {verdict['reason']}"


def main() -> int:
    """Run all and print each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--for", type=int, default=140, dest="seconds")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.at_once) as pool:
        same, study = Path(folder, "same.toml"), Path(folder, "study.toml")
        same.write_text(SAME)
        study.write_text(STUDY)
        winners = 0
        for seed, printed in enumerate(pool.map(lambda seed: ran(same, asked.seconds, seed, 8), range(asked.runs))):
            winners += printed["verdict"]["word"] in {"A ahead", "B ahead"}
            print(line_of(f"same {seed}", printed), flush=True)
        last = ran(study, asked.seconds, 1, 100)
        print(line_of("study", last), flush=True)
    print(f"{winners} of {asked.runs} equal runs named a winner; the study named {last['verdict']['word']!r}")
    return 0 if winners <= asked.runs / 10 and last["verdict"]["word"] == "B ahead" else 1


if __name__ == "__main__":
    sys.exit(main())
