"""What a profile holds once it has been read and checked."""

from typing import Literal

import msgspec

from tui.records.dials import Dials
from tui.records.endpoints import Endpoint
from tui.records.launch import Launch

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
