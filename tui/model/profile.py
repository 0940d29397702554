"""A profile as read and checked: servers and how to start them, load, limits, recording, plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

import msgspec

from tui.model.dials import Dials
from tui.model.metrics import MLPERF_LIMITS_MS
from tui.model.rows import Lane
from tui.model.text import UserError


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[a.launch]` of a profile. None or empty leaves the engine its default.

    The kind of engine, its host and port, and the name it serves the model under are the lane's `engine`, `url` and
    `model`. Secrets do not belong here: the engine inherits this process's environment.
    """

    model: str  # path or repository of the weights
    # A path replaces the first word of the usual command (for SGLang: the Python), a list replaces the whole command,
    # for a container or a script. Empty: the engine is on the PATH.
    command: str | list[str] = []
    version: str = ""  # version of the engine, which decides the spelling of its flags; empty: the newest known
    dtype: str = ""  # data type of the weights and activations
    quantisation: str = ""  # quantisation of the weights
    tensor_parallel: int | None = None  # [GPUs] how many share the model
    max_model_len: int | None = None  # [tokens] longest prompt and answer together
    kv_tokens: int | None = None  # [tokens] size of the KV cache
    memory_fraction: float | None = None  # [share] of GPU memory for the engine, 0 to 1
    max_running: int | None = None  # [requests] how many run at the same time
    prefill_budget: int | None = None  # [tokens] most that one step prefills
    prefix_cache: bool | None = None  # whether prompts share the KV cache of a common prefix
    cuda_graphs: bool | None = None  # whether decoding runs as CUDA graphs
    cuda_graph_max: int | None = None  # [requests] largest batch captured as a CUDA graph
    kv_dtype: str = ""  # data type of the KV cache
    kv_block: int | None = None  # [tokens] size of a block of the KV cache
    seed: int | None = None  # the engine's random seed
    gpus: list[int] = []  # which GPUs it may use (CUDA_VISIBLE_DEVICES)
    dummy_weights: bool = False  # random weights: for speed only
    neutral_sampling: bool = True  # ignore the sampling defaults in the model's generation_config.json
    extra: list[str] = []  # more flags, as the engine spells them
    env: dict[str, str] = {}  # more environment variables for the engine


Endpoint = Literal["completions", "chat", "generate"]
API_PATH: Final = "/v1"  # where most servers have their OpenAI-compatible API
PATHS: Final[Mapping[Endpoint, str]] = {  # behind a server's base URL
    "completions": "/v1/completions",
    "chat": "/v1/chat/completions",
    "generate": "/generate",  # SGLang's own, used by its bench client: the same work without an OpenAI front end
}


def endpoint_path(endpoint: Endpoint, api_path: str) -> str:
    """Where requests go behind the base URL of a server that has its API at `api_path`."""
    path = PATHS[endpoint]
    return path if endpoint == "generate" else api_path + path.removeprefix(API_PATH)


Mode = Literal["together", "alternate"]
SIMULATED: Final = ("vllm", "sglang")  # engines that can be simulated


class LaneProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server. Exactly one of `url` and `simulate` is given."""

    url: str = ""  # base URL of the server
    path: str = ""  # path of its API below that; empty: /v1, else the URL as given; "/": none
    simulate: str = ""  # start a simulated engine instead: vllm or sglang
    engine: str = ""  # kind of engine; empty: detect it
    model: str = ""  # name of the model as the server lists it; empty: the only one
    api_key_env: str = ""  # name of the environment variable that holds the API key, never the key
    endpoint: Endpoint | Literal[""] = ""  # API that gets the load; empty: the one that suits the engine
    # When the server reports its token count: with each chunk, or at the end of the answer. Empty: at the end, unless
    # chunks hold several tokens.
    usage: Literal["", "each", "end"] = ""
    dcgm: str = ""  # metrics URL of a DCGM exporter, for the GPUs of a server on another host
    gpu_command: str = ""  # command that takes nvidia-smi's flags, for the GPUs of a server on another host
    gpus: list[int] = []  # NVML indices of the GPUs to show; empty: those that the server's processes use
    headers: dict[str, str] = {}  # more HTTP headers for each request
    # More fields for the JSON body of each request; a text that is a JSON object can also hold null.
    extra_body: dict[str, Any] = {}
    drop_fields: list[str] = []  # fields to leave out of each body; a dot leads into a field: "stream_options.x"
    rename_fields: dict[str, str] = {}  # fields to send under another name: the usual name, and that name
    verify_tls: bool = True  # false: accept any TLS certificate
    dials: dict[str, int | float | str] = {}  # dials of this lane that differ from [load]
    launch: Launch | None = None  # how `dragstrip launch` starts the engine at `url`


class LoadProfile(Dials, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The dials as a session starts, and what does not change while it runs."""

    seed: int = 0  # random seed of the request list
    output_jitter: float = 0.1  # [share] by which the length of answers varies at random, 0.1 for ±10 %
    think_s: float = 0.0  # [s] pause between two requests of a stream in a closed loop, 0 to 600
    connect_timeout_s: float = 5.0  # [s] a request fails when connecting takes longer
    read_timeout_s: float = 60.0  # [s] a request fails after this long without a byte from the server


class DataProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of prompts, a trace or conversations that both lanes play in place of synthetic prompts."""

    file: str = ""  # path of the file; empty: synthetic prompts
    form: str = ""  # how it is written; empty: recognised by its first record
    order: Literal["as written", "shuffled"] = "as written"  # shuffled: by `seed`; a trace stays as written
    # At the end of the file begin again, or stop; empty: `watch` begins again, `run` stops.
    repeat: Literal["", "wrap", "stop"] = ""
    max_input: int = 0  # [tokens] rows with longer prompts are left out; 0: none, but for the servers' context
    max_output: int = 4096  # [tokens] longest answer asked for, also of those that end by themselves
    max_gap_s: float = 60.0  # [s] pauses in a trace's arrivals are cut to this
    volleys: bool = False  # send rows that share a stamp all at once, instead of spreading them until the next one
    salt: bool = False  # put a few characters that are new each session before each text: no cache knows it
    session_header: str = (
        ""  # name of an HTTP header that carries the conversation, for routers that keep it together
    )


class RecordProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is recorded. Prompts and answers never are."""

    chunks: bool = True  # record when each chunk arrived: reports compute the ITL from it
    directory: str = ""  # folder for recordings; empty: the user's data directory


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a request may take to count as goodput; None is no limit."""

    preset: str = ""  # limits of an MLPerf benchmark, named after its model; the limits below override it
    ttft_ms: float | None = None  # [ms] longest time to first token
    tpot_ms: float | None = None  # [ms] longest time per output token
    e2e_ms: float | None = None  # [ms] longest time to the last token

    @property
    def by_metric(self) -> dict[str, float]:
        """Those that are set, in ms, by the metric they limit."""
        limits = {"ttft": self.ttft_ms, "tpot": self.tpot_ms, "e2e": self.e2e_ms}
        return {metric: limit for metric, limit in limits.items() if limit is not None}

    @classmethod
    def recorded(cls, profile: Mapping[str, Any]) -> Self:
        """Those of a session, from the profile in its `session.toml`."""
        slo = profile.get("slo") or {}
        return cls(**{name: slo[name] for name in cls.__struct_fields__ if slo.get(name) is not None})

    def completed(self) -> Limits:
        """With those of the preset where none are set."""
        if self.preset not in MLPERF_LIMITS_MS:
            return self
        ttft_ms, tpot_ms = MLPERF_LIMITS_MS[self.preset]
        return msgspec.structs.replace(
            self,
            ttft_ms=ttft_ms if self.ttft_ms is None else self.ttft_ms,
            tpot_ms=tpot_ms if self.tpot_ms is None else self.tpot_ms,
        )


_LIMIT_NAMES: Final = {"ttft": "ttft_ms", "tpot": "tpot_ms", "e2e": "e2e_ms", "e2el": "e2e_ms"}


NO_LIMITS: Final = Limits()


def parse_limits(text: str, limits: Limits = NO_LIMITS) -> Limits:
    """`limits` with those of `ttft:500 tpot:30` (ms; the field's `--goodput`), or of a preset by its name.

    Raises UserError that says what is wrong with it.
    """
    known = f"write ttft:500 tpot:30 e2e:2000 in ms, or a preset: {', '.join(MLPERF_LIMITS_MS)}"
    for part in text.replace(",", " ").split():
        if part in MLPERF_LIMITS_MS:
            limits = Limits(preset=part).completed()
            continue
        name, colon, number = part.partition(":")
        if name not in _LIMIT_NAMES or not colon:
            raise UserError(f"--goodput {part}: this is not a limit; {known}")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"--goodput {part}: a limit is a number of ms above 0")
        limits = msgspec.structs.replace(limits, **{_LIMIT_NAMES[name]: value})
    if not limits.by_metric:
        raise UserError(f"--goodput sets no limit; {known}")
    return limits


def limits_text(limits: Limits) -> str:
    """As `parse_limits` reads it; empty: none."""
    return " ".join(f"{metric}:{limit:g}" for metric, limit in limits.by_metric.items())


def limits_from_text(text: str) -> Limits:
    """Those of an event; none where it has none, or none that can be read."""
    try:
        return parse_limits(text) if text.strip() else NO_LIMITS
    except UserError:
        return NO_LIMITS


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a plan: some dials, held for a time or for a number of finished requests a lane."""

    dials: dict[str, int | float | str] = {}  # dials that this step turns; what earlier steps turned stays
    for_s: float | None = None  # [s] length of the step; give this or `requests`
    requests: int | None = None  # [requests] the step ends when each lane has finished so many; give this or `for_s`


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One head-to-head, or one lane alone when `b` is None."""

    name: str = ""  # name of the profile; empty: the name of its file
    sentence: str = ""  # what it is for; `dragstrip profiles` prints it
    mode: Mode = "together"  # alternate: the lanes take turns, for engines that share a GPU
    a: LaneProfile  # lane A
    b: LaneProfile | None = None  # lane B; without it there is one lane
    data: DataProfile = DataProfile()  # a traffic file in place of synthetic prompts
    load: LoadProfile = LoadProfile()  # the dials as the session starts, and what does not change while it runs
    slo: Limits = Limits()  # latency limits that a request must meet to count as goodput
    record: RecordProfile = RecordProfile()  # what is recorded; prompts and answers never are
    plan: list[Step] = []  # steps that the key P and `dragstrip run --plan` go through
    repeat: int = 1  # [times] how often the plan is run, 1 to 1000; every second time backwards
    delta: float | None = None  # [share] lanes closer than this are level; empty: as calibrated, else 0.03
    delta_from: str = ""  # where `delta` was measured
    waive: list[str] = []  # engine settings whose difference is known and accepted; `dragstrip doctor` names them

    @property
    def lanes(self) -> dict[Lane, LaneProfile]:
        """The servers by lane: one or two."""
        return {"a": self.a} if self.b is None else {"a": self.a, "b": self.b}
