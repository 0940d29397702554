"""The dials: the load on the servers, and each dial's steps and limits, declared once for screen and profile."""

from typing import Literal, get_args

import msgspec

Arrival = Literal["closed", "poisson", "constant", "burst", "stagger", "trace"]
ARRIVALS: tuple[Arrival, ...] = get_args(Arrival)
MAX_STREAMS = 4096
AS_IN_FILE = 0  # of prompt and output tokens: each request as long as its row in the traffic file says
NATURAL = -1  # of output tokens: answers end by themselves


class Dials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The load on one lane.

    A closed loop keeps `concurrency` streams busy. Under any other arrival, `request_rate` requests per second come
    due however slow the server is, and `concurrency` is not used.
    """

    concurrency: int = 8  # [streams] how many a closed loop keeps busy; 0 stops the load
    prompt_tokens: int = 512  # [tokens] length of each prompt; 0 with a traffic file: as in the file
    # [tokens] length asked of each answer, varied by `output_jitter`. With a traffic file, 0: as in the file, and -1:
    # answers end by themselves.
    output_tokens: int = 128
    # closed: each stream sends its next request when the answer has ended. The others: how requests arrive at
    # `request_rate`, or as the traffic file says at `speed`.
    arrival: Arrival = "closed"
    request_rate: float = 0.0  # [requests/s] how many arrive whatever the servers do, unless `arrival` is closed
    shared_prefix: float = 0.0  # [share] of each prompt that is one common prefix, 0 to 0.95
    temperature: float = 0.0  # sampling temperature
    speed: float = 1.0  # [times] at which the clock of a traffic file runs when `arrival` is trace, 0.1 to 16
    think: float = 1.0  # [times] by which pauses of conversations, or `think_s`, are longer, 0 to 4

    @property
    def streams(self) -> int:
        """How many streams are asked for; 0 under an arrival rate."""
        return self.concurrency if self.arrival == "closed" else 0


DialName = Literal[
    "concurrency",
    "prompt_tokens",
    "output_tokens",
    "arrival",
    "request_rate",
    "shared_prefix",
    "temperature",
    "speed",
    "think",
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
    special: dict[int, str] = {}  # values below `low` that a traffic file gives a meaning, as they are shown
    needs: Literal["", "times", "pauses"] = ""  # the dial is there only where the traffic has these


class TrafficKind(msgspec.Struct, frozen=True):
    """What dials the traffic gives a meaning; of synthetic load nothing but pauses, where `think_s` is set."""

    file: bool = False
    times: bool = False  # a trace: rows say when they are due
    pauses: bool = False  # between the requests of a conversation, or of a stream
    form: str = ""
    shared_prefix: bool = True  # prompts are made, and so may share a beginning

    def has(self, spec: DialSpec) -> bool:
        """Whether the dial does anything."""
        if spec.name == "shared_prefix":
            return self.shared_prefix
        return not spec.needs or bool(getattr(self, spec.needs))

    def notches(self, spec: DialSpec) -> tuple[int | float, ...]:
        """The numbers a dial is turned through, from the lowest."""
        special = sorted(spec.special) if self.file else []
        return (*special, *(notch for notch in spec.notches if not isinstance(notch, str)))

    def takes(self, spec: DialSpec, value: float) -> bool:
        return spec.low <= value <= spec.high or (self.file and value in spec.special)

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        return ARRIVALS if self.times else tuple(arrival for arrival in ARRIVALS if arrival != "trace")


SYNTHETIC = TrafficKind()


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
    DialSpec("prompt_tokens", "prompt", "tok", _notches(16, 100_000), 16, 100_000, {AS_IN_FILE: "file"}),
    DialSpec(
        *("output_tokens", "out", "tok", _notches(1, 32_768), 1, 32_768),  # asked of each answer, ±10 %
        special={NATURAL: "natural", AS_IN_FILE: "file"},
    ),
    DialSpec("arrival", "arrival", "", ARRIVALS),
    DialSpec("request_rate", "rate", "req/s", (0.0, 0.25, 0.5, *map(float, _notches(1, 1024))), 0, 10_000),
    DialSpec("shared_prefix", "shared", "%", (0.0, 0.1, 0.25, 0.5, 0.75, 0.9), 0, 0.95),
    DialSpec("temperature", "temp", "", (0.0, 0.01, 0.2, 0.5, 0.7, 1.0, 1.5, 2.0), 0, 2),
    DialSpec(
        "speed", "speed", "×", (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0), 0.1, 16, needs="times"
    ),
    DialSpec("think", "think", "×", (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0), 0, 4, needs="pauses"),
)
DIAL: dict[str, DialSpec] = {spec.name: spec for spec in DIALS}


def dial_text(spec: DialSpec, value: DialValue) -> str:
    """A dial's value as shown: a share in percent, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if value in spec.special:
        return spec.special[int(value)]
    if spec.unit == "%":
        return f"{value * 100:.0f}"
    return f"{value:g}"


def dial_value(spec: DialSpec, text: str) -> DialValue:
    """A dial's value from what the operator read: the reverse of `dial_text`. ValueError when it is none."""
    if spec.name == "arrival":
        return text
    for value, shown in spec.special.items():
        if text == shown:
            return value
    number = float(text) / 100 if spec.unit == "%" else float(text)
    return round(number) if isinstance(getattr(Dials(), spec.name), int) else number


def implied_traffic(dials: Dials) -> TrafficKind:
    """What traffic there must be for these dials to be in force."""
    is_file = dials.prompt_tokens == AS_IN_FILE or dials.output_tokens in (AS_IN_FILE, NATURAL)
    return TrafficKind(file=is_file, times=dials.arrival == "trace")


def check(dials: Dials, traffic: TrafficKind = SYNTHETIC) -> str:
    """A sentence that names a dial out of its limits, or an empty string."""
    for spec in DIALS:
        value = getattr(dials, spec.name)
        if not isinstance(value, str) and not traffic.takes(spec, value):
            return f"{spec.name} is {value:g}, but must lie between {spec.low:g} and {spec.high:g}"
    if dials.arrival == "trace":
        if not traffic.times:
            return "arrival is trace, which needs a traffic file whose rows have times: give one with --data"
    elif dials.arrival != "closed" and dials.request_rate <= 0:
        return f"arrival is {dials.arrival}, which needs a request_rate above 0"
    return ""
