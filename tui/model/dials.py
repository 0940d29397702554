"""The dials: the load on the servers, and each dial's steps and limits, declared once for screen and profile."""

from typing import Literal, get_args

import msgspec

Arrival = Literal["closed", "poisson", "constant", "burst", "stagger"]
ARRIVALS: tuple[Arrival, ...] = get_args(Arrival)
MAX_STREAMS = 4096


class Dials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The load on one lane.

    A closed loop keeps `concurrency` streams busy. Under any other arrival, `request_rate` requests per second come
    due however slow the server is, and `concurrency` is not used.
    """

    concurrency: int = 8  # [streams] how many a closed loop keeps busy; 0 stops the load
    prompt_tokens: int = 512  # [tokens] length of each prompt
    output_tokens: int = 128  # [tokens] length asked of each answer, varied by `output_jitter`
    # closed: each stream sends its next request when the answer has ended. The others: how requests arrive at
    # `request_rate`.
    arrival: Arrival = "closed"
    request_rate: float = 0.0  # [requests/s] how many arrive whatever the servers do, unless `arrival` is closed
    shared_prefix: float = 0.0  # [share] of each prompt that is one common prefix, 0 to 0.95
    temperature: float = 0.0  # sampling temperature

    @property
    def streams(self) -> int:
        """How many streams are asked for; 0 under an arrival rate."""
        return self.concurrency if self.arrival == "closed" else 0


DialName = Literal[
    "concurrency", "prompt_tokens", "output_tokens", "arrival", "request_rate", "shared_prefix", "temperature"
]
DialValue = int | float | str


class DialSpec(msgspec.Struct, frozen=True):
    """How one dial is named and turned: a key moves it to the next of `notches`."""

    name: DialName
    label: str
    unit: str
    notches: tuple[DialValue, ...]
    low: float = 0
    high: float = 0


def _notches(low: int, high: int) -> tuple[int, ...]:
    """1 2 3 4 6 8 12 16 24 32 …: powers of two and the values half-way between, within the limits."""
    values = {low, high}
    power = 1
    while power <= high:
        values.update(v for v in (power, power * 3 // 2) if low <= v <= high)
        power *= 2
    return tuple(sorted(values))


DIALS: tuple[DialSpec, ...] = (
    DialSpec("concurrency", "conc", "streams", (0, *_notches(1, MAX_STREAMS)), 0, MAX_STREAMS),  # 0 stops the load
    DialSpec("prompt_tokens", "prompt", "tok", _notches(16, 100_000), 16, 100_000),
    DialSpec("output_tokens", "out", "tok", _notches(1, 32_768), 1, 32_768),  # asked of each answer, ±10 %
    DialSpec("arrival", "arrival", "", ARRIVALS),
    DialSpec("request_rate", "rate", "req/s", (0.0, 0.25, 0.5, *map(float, _notches(1, 1024))), 0, 10_000),
    DialSpec("shared_prefix", "shared", "%", (0.0, 0.1, 0.25, 0.5, 0.75, 0.9), 0, 0.95),
    DialSpec("temperature", "temp", "", (0.0, 0.01, 0.2, 0.5, 0.7, 1.0, 1.5, 2.0), 0, 2),
)
DIAL: dict[str, DialSpec] = {spec.name: spec for spec in DIALS}


def dial_text(spec: DialSpec, value: DialValue) -> str:
    """A dial's value as shown: a share in percent, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if spec.unit == "%":
        return f"{value * 100:.0f}"
    return f"{value:g}"


def check(dials: Dials) -> str:
    """A sentence that names a dial out of its limits, or an empty string."""
    for spec in DIALS:
        value = getattr(dials, spec.name)
        if not isinstance(value, str) and not spec.low <= value <= spec.high:
            return f"{spec.name} is {value:g}, but must lie between {spec.low:g} and {spec.high:g}"
    if dials.arrival != "closed" and dials.request_rate <= 0:
        return f"arrival is {dials.arrival}, which needs a request_rate above 0"
    return ""
