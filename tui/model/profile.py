"""What a profile holds once it has been read and checked.

How an engine is to be started, in words that suit every engine.

The endpoints that load is sent to, and their paths behind a server's base URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tui.model.dials import Dials


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[a.launch]` of a profile. What is None or empty is left to the engine's own default.

    The engine's kind is the lane's `engine`, host and port are those of its `url`, the name it serves is its
    `model`. Secrets do not belong here: the engine inherits this process's environment.
    """

    model: str  # path or repository of the weights
    # What starts the engine when it is not on the PATH: a path takes the place of the usual command's first word (so
    # for SGLang it is a Python), a list the place of the whole, as for a container or a script.
    command: str | list[str] = []
    version: str = ""  # of the engine; empty: the newest known flags
    dtype: str = ""
    quantisation: str = ""
    tensor_parallel: int | None = None
    max_model_len: int | None = None
    kv_tokens: int | None = None
    memory_fraction: float | None = None
    max_running: int | None = None
    prefill_budget: int | None = None
    prefix_cache: bool | None = None
    cuda_graphs: bool | None = None
    cuda_graph_max: int | None = None
    kv_dtype: str = ""
    kv_block: int | None = None
    seed: int | None = None
    gpus: list[int] = []
    dummy_weights: bool = False
    neutral_sampling: bool = True  # the model's generation_config.json is not to change the sampling
    extra: list[str] = []  # further flags, as the engine spells them
    env: dict[str, str] = {}


Endpoint = Literal["completions", "chat", "generate"]
# `generate` is SGLang's own, which its bench client asks: the same work without an OpenAI front end.
PATHS: Final[Mapping[Endpoint, str]] = {
    "completions": "/v1/completions",
    "chat": "/v1/chat/completions",
    "generate": "/generate",
}


Mode = Literal["together", "alternate"]


class LaneProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server. Exactly one of `url` and `simulate` is given."""

    url: str = ""
    simulate: str = ""  # engine whose manners a simulator takes on: vllm or sglang
    engine: str = ""  # kind; empty: recognise it
    model: str = ""  # empty: the server's only model
    api_key_env: str = ""  # name of the environment variable that holds the key
    endpoint: Endpoint | Literal[""] = ""  # empty: what the engine does best
    usage: Literal["", "each", "end"] = ""  # tokens counted so; empty: at the end, unless chunks hold several
    dcgm: str = ""  # URL of a DCGM exporter
    gpus: list[int] = []  # NVML indices; empty: the GPUs that the server's own processes use
    headers: dict[str, str] = {}
    extra_body: dict[str, str | int | float | bool] = {}
    verify_tls: bool = True
    dials: dict[str, int | float | str] = {}  # where this lane departs from [load]
    launch: Launch | None = None  # how `dragstrip launch` starts it at `url`


class LoadProfile(Dials, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The dials as a session starts, and what does not turn while it runs."""

    seed: int = 0
    output_jitter: float = 0.1
    think_s: float = 0.0  # closed loop: from the end of a request to the next one of its stream
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0  # without a byte from the server


class RecordProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept. Prompts and answers never are."""

    chunks: bool = True
    directory: str = ""  # empty: the user's data directory


class Slo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits a request must meet to count as goodput; None is no limit."""

    preset: str = ""  # a name in `records.limits`; what is given beside it goes before it
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a plan: some dials, held for a time or for a number of finished requests a lane."""

    dials: dict[str, int | float | str] = {}
    for_s: float | None = None
    requests: int | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One head-to-head, or one lane alone when `b` is None."""

    name: str = ""
    sentence: str = ""  # what it is for
    mode: Mode = "together"
    a: LaneProfile
    b: LaneProfile | None = None
    load: LoadProfile = LoadProfile()
    slo: Slo = Slo()
    record: RecordProfile = RecordProfile()
    plan: list[Step] = []
    repeat: int = 1  # of the plan, every other time backwards
    delta: float | None = None  # lanes closer than this share are level; None: as calibrated, else 3 %
    delta_from: str = ""  # where it was measured
    waive: list[str] = []  # keys of `records.terms` whose difference is known and accepted
