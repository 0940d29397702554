"""An engine's output tokens/s under dragstrip, as a ratio to those under its own bench client, in turns.

    python -m tests.bench.load.engine_client vllm http://127.0.0.1:8000 --tokenizer MODEL_FOLDER

Both send the same load to the same endpoint, /v1/completions: closed loop, greedy, every answer of full length. The
prompts have the same number of tokens in both: vLLM's client decodes and encodes until the length is right, SGLang's
is given prompts that the server counted. The rate is output tokens over the time from the first request to the last
end, as both engines' clients define it; like them, dragstrip stops sending once enough requests were sent and waits
for the last. A second ratio compares the rates at which the server's own counter rose from the middle of the first
wave of requests to the middle of the last: the same work under both clients, without start and end.

Start the engines without a prefix cache: the prompts share words. With `--generate` both ask SGLang's /generate, as
its client does by default. Tokens are counted at the end of an answer, as their clients ask and as dragstrip does
once chunks turn out to hold one each; `--usage end each` also measures a count with every chunk, in mirrored turns.
`--python` is the interpreter that has the engine; by default this one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import httpx
import polars as pl

from tests.bench.load.server_counter import counted, middle_rate
from tui.load.requests import RequestList
from tui.model.dials import Dials
from tui.model.profile import Endpoint
from tui.recording.reader import open_session

NS = 1e9
ENGINE_CLIENT = "engine's client"
USAGES = ("each", "end")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a client gave."""

    rate: float  # tokens/s by the client's own clock
    middle: float  # tokens/s of the server's counter from mid first wave to mid last
    bound_s: int  # seconds that were bound by our client


@dataclass(frozen=True, slots=True)
class Load:
    """What both clients send."""

    url: str
    model: str
    tokenizer: str
    streams: int
    prompt_tokens: int
    output_tokens: int
    seed: int
    endpoint: Endpoint
    waves: int  # requests a stream
    usage: str
    drain_s: int  # after the last request

    @property
    def requests(self) -> int:
        """How many in all."""
        return self.streams * self.waves


def text_prompts(load: Load) -> list[str]:
    """Prompts of exactly so many tokens as this server counts: filler words make up what common words leave over."""
    requests = RequestList(seed=load.seed, salt=f"text {load.seed}", output_jitter=0.0, token_pool=[])
    dials = Dials(prompt_tokens=load.prompt_tokens, output_tokens=load.output_tokens)

    def prompt(number: int, words: int, fillers: int) -> str:
        text = requests.text(number, dials, words, fillers).prompt
        assert isinstance(text, str)
        return text

    def counted(words: int, fillers: int) -> int:
        asked = {"model": load.model, "prompt": prompt(0, words, fillers), "max_tokens": 1}
        answer = httpx.post(f"{load.url}/v1/completions", json=asked, timeout=60.0)
        return int(answer.raise_for_status().json()["usage"]["prompt_tokens"])

    words = load.prompt_tokens
    while (tokens := counted(words, 0)) > load.prompt_tokens:
        words -= max(1, (tokens - load.prompt_tokens) // 2)
    fillers = load.prompt_tokens - tokens
    assert counted(words, fillers) == load.prompt_tokens
    return [prompt(number, words, fillers) for number in range(load.requests)]


def rate_of_engine_client(engine: str, python: str, load: Load, folder: Path) -> float:
    """Tokens/s as the engine's own client reports them."""
    result = folder / f"own-{load.seed}.json"
    kind = "generate" if load.endpoint == "generate" else engine
    shared = (
        f"--base-url {load.url} --model {load.model} --tokenizer {load.tokenizer} --disable-tqdm --seed {load.seed} "
        f"--random-input-len {load.prompt_tokens} --random-output-len {load.output_tokens} "
        f"--num-prompts {load.requests} --max-concurrency {load.streams}"
    )
    special = {
        "vllm": "vllm.entrypoints.cli.main bench serve --backend openai --dataset-name random --ignore-eos "
        f"--temperature 0 --save-result --result-dir {folder} --result-filename {result.name}",
        "sglang": "sglang.bench_serving --backend sglang-oai --dataset-name custom --dataset-path "
        f"{folder / 'prompts.jsonl'} --sharegpt-output-len {load.output_tokens} --output-file {result}",
        "generate": "sglang.bench_serving --backend sglang --dataset-name random-ids --random-range-ratio 1.0 "
        f"--tokenize-prompt --output-file {result}",
    }[kind]
    if kind == "sglang":
        turns = ({"conversations": [{"content": prompt}, {"content": "-"}]} for prompt in text_prompts(load))
        (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, turns)))
    command = [python, "-m", *special.split(), *shared.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return float(json.loads(result.read_text().splitlines()[-1])["output_throughput"])


def dragstrip(load: Load, folder: Path) -> tuple[float, int]:
    """Tokens/s under dragstrip, and its seconds that were bound by the client."""
    profile = folder / f"ours-{load.seed}.toml"
    profile.write_text(
        f'[a]\nurl = "{load.url}"\nmodel = "{load.model}"\nendpoint = "{load.endpoint}"\nusage = "{load.usage}"\n'
        f"[load]\nconcurrency = {load.streams}\nprompt_tokens = {load.prompt_tokens}\n"
        f"output_tokens = {load.output_tokens}\noutput_jitter = 0.0\ntemperature = 0.0\nseed = {load.seed}\n"
        f"[[plan]]\nrequests = {load.requests - load.streams}\n"
        f"[[plan]]\ndials = {{ concurrency = 0 }}\nfor_s = {load.drain_s}\n"
    )
    command = [sys.executable, "-m", "tui", "run", str(profile), "--plan", "--json", "--out", str(folder)]
    printed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    session = open_session(folder / printed["session"])
    requests = session.scan("requests").select("outcome", "t_send_ns", "t_end_ns").collect()
    if not (requests["outcome"] == "ok").all():
        raise SystemExit(f"not every answer was whole within {load.drain_s} s after the last request: raise --drain")
    first_ns, last_ns = requests["t_send_ns"].min(), requests["t_end_ns"].max()
    assert isinstance(first_ns, int)
    assert isinstance(last_ns, int)
    arrived = session.scan("chunks").select(pl.col("tokens").sum()).collect().item()
    return arrived / ((last_ns - first_ns) / NS), printed["lanes"]["a"]["client"]["bound_s"]


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["vllm", "sglang"])
    parser.add_argument("url")
    parser.add_argument("--tokenizer", required=True, help="a folder or repository that the engine's client can load")
    parser.add_argument("--model", default="", help="as the server calls it; empty: as the tokenizer's folder")
    parser.add_argument("--generate", action="store_true", help="ask SGLang's /generate, its own client's default")
    parser.add_argument(
        "--usage", choices=USAGES, nargs="+", default=["end"], help="tokens counted with each chunk, or once"
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the engine")
    parser.add_argument("--streams", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--waves", type=int, default=4, help="requests a stream in each run")
    parser.add_argument("--drain", type=int, default=20, help="seconds that the last answers are waited for")
    parser.add_argument(
        "--rounds", type=int, default=1, help="of turns: engine's client, ours, and then in reverse order"
    )
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--output", type=int, default=256)
    args = parser.parse_args()
    if args.waves < 2:
        parser.error("--waves: 2 at least, one to begin with and one to end")
    return args


def measure(args: argparse.Namespace, streams: int) -> dict[str, list[Run]]:
    """The runs at one level by client: the engine's, and ours by how usage was requested."""
    endpoint: Endpoint = "generate" if args.generate else "completions"
    model = args.model or Path(args.tokenizer).name
    ways = [ENGINE_CLIENT, *(["each"] if args.generate else args.usage)]
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        for seed, way in enumerate([*ways, *reversed(ways)] * args.rounds, 1):
            load = Load(
                *(args.url, model, args.tokenizer, streams, args.prompt, args.output, seed, endpoint),
                waves=args.waves,
                usage="" if args.generate or way == ENGINE_CLIENT else way,
                drain_s=args.drain,
            )
            with counted(args.kind, args.url) as readings:
                if way == ENGINE_CLIENT:
                    rate, bound_s = rate_of_engine_client(args.kind, args.python, load, Path(folder)), 0
                else:
                    rate, bound_s = dragstrip(load, Path(folder))
            runs[way].append(run := Run(rate, middle_rate(readings, streams * args.output, args.waves), bound_s))
            rates = f"{rate:,.0f} tok/s, {run.middle:,.0f} in mid-run by the server's counter"
            print(f"{streams} streams, {way}: {rates}", file=sys.stderr, flush=True)
    return runs


def main() -> None:
    """Measure in turns at each level, and print the rates and their ratios."""
    args = options()
    heads = ("engine client tok/s", "usage", "dragstrip tok/s", "ratio", "in mid-run", "bound s")
    print("{:>8} {:>26} {:>6} {:>26} {:>6} {:>10} {:>8}".format("streams", *heads))
    for streams in args.streams:
        runs = measure(args, streams)
        theirs = runs.pop(ENGINE_CLIENT)
        for usage, ours in runs.items():
            rates = (" ".join(f"{run.rate:,.0f}" for run in some) for some in (theirs, ours))
            ratio = fmean(run.rate for run in ours) / fmean(run.rate for run in theirs)
            middle = fmean(run.middle for run in ours) / fmean(run.middle for run in theirs)
            bound_s = sum(run.bound_s for run in ours)
            row = (streams, next(rates), usage, next(rates), ratio, middle, bound_s)
            print("{:>8} {:>26} {:>6} {:>26} {:>6.3f} {:>10.3f} {:>8}".format(*row))


if __name__ == "__main__":
    main()
