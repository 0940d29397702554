"""A session made up second by second: rows as two servers of given rates would give, folded into a state."""

import random
from dataclasses import dataclass, field

from tui.model.dials import Dials
from tui.model.metrics import NS_PER_S
from tui.model.profile import LaneProfile, Limits, LoadProfile, Mode, Profile
from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import LaneInfo
from tui.session.make_view import make_view
from tui.session.seconds import ViewContext
from tui.session.state import SessionState
from tui.session.verdicts import LiveVerdicts
from tui.session.view import View

NOISE = 0.03
REQUESTS_A_SECOND = 4


@dataclass
class Run:
    """Both lanes at `rate` tokens a second with a few per cent of noise, seeded."""

    rate: dict[Lane, float] = field(default_factory=lambda: {"a": 1000, "b": 1000})
    ttft_ms: dict[Lane, float] = field(default_factory=lambda: {"a": 100, "b": 100})
    slo: Limits = field(default_factory=Limits)
    e2e_s: float = 1.0
    finishing: bool = True
    failing: float = 0.0  # share of lane B's requests
    b_output: int = 10  # tokens of each of lane B's answers
    one_token: bool = False  # every fourth answer is of one token, which has no TPOT
    lagging: bool = False  # requests began under the dials before these
    bound: bool = False
    incomparable: str = ""
    models: tuple[str, str] = ("m", "m")
    engine: str = "vllm"
    dials_differ: bool = False
    turns_s: int = 0  # above 0: the lanes take turns of so many seconds
    state: SessionState = field(default_factory=lambda: SessionState(0))
    dials: dict[Lane, Dials] = field(default_factory=lambda: {lane: Dials(concurrency=8) for lane in LANES})

    def __post_init__(self) -> None:
        self.random = random.Random(7)
        self.state.live_verdicts = LiveVerdicts.under(self.profile)
        self.state.begin(1000 * NS_PER_S)
        if self.incomparable:
            self.state.take_event(EventRow("", self.state.t_ns, "incomparable", text=self.incomparable))
        if self.dials_differ:
            self.dials["b"] = Dials(concurrency=9)

    @property
    def profile(self) -> Profile:
        """Two servers at eight streams."""
        a, b = LaneProfile(url="http://a"), LaneProfile(url="http://b")
        mode: Mode = "alternate" if self.turns_s else "together"
        return Profile(name="made", mode=mode, a=a, b=b, slo=self.slo, load=LoadProfile(concurrency=8))

    def seconds(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            self._fold()

    def second(self) -> View:
        """One more, and what a screen then shows."""
        self._fold()
        return self.view()

    def turn(self, old: str = "8", new: str = "16") -> None:
        """Concurrency is turned now."""
        event = EventRow("", self.state.t_ns, "dial", "concurrency", old, new)
        self.state.apply(Batch(self.state.t_ns, events=[event]))

    def view(self) -> View:
        """What a screen shows."""
        infos: dict[Lane, LaneInfo] = {
            lane: LaneInfo(url="", engine=self.engine, title="vLLM", version="", model=model)
            for lane, model in zip(LANES, self.models, strict=True)
        }
        return make_view(self.state, ViewContext(self.profile, infos, self.dials, 0), 10)

    def _fold(self) -> None:
        start_ns = self.state.t_ns
        batch = Batch(start_ns + NS_PER_S)
        for lane in LANES:
            tokens = self.rate[lane] * (1 + self.random.gauss(0, NOISE))
            batch.seconds.append(self._row(lane, start_ns, round(tokens)))
            if self.finishing and not batch.seconds[-1].resting:
                batch.requests += [self._request(lane, start_ns, i) for i in range(REQUESTS_A_SECOND)]
        self.state.apply(batch)

    def _row(self, lane: Lane, start_ns: int, tokens: int) -> SecondRow:
        turn = LANES[(start_ns // NS_PER_S // self.turns_s) % 2] if self.turns_s else lane
        return SecondRow(
            lane=lane,
            t_ns=start_ns,
            segment=self.state.segment,
            concurrency=8,
            in_flight=8,
            started=REQUESTS_A_SECOND,
            finished=REQUESTS_A_SECOND,
            failed=0,
            output_tokens=0 if turn != lane else tokens,
            prompt_tokens=0,
            bound=self.bound,
            resting=turn != lane,
        )

    def _request(self, lane: Lane, start_ns: int, place: int) -> RequestRow:
        end_ns = start_ns + (place + 1) * NS_PER_S // (REQUESTS_A_SECOND + 1)
        send_ns = end_ns - round(self.e2e_s * NS_PER_S)
        failed = lane == "b" and self.random.random() < self.failing
        first_ns = send_ns + round(self.ttft_ms[lane] * (1 + self.random.gauss(0, NOISE)) * 1e6)
        return RequestRow(
            lane=lane,
            request=start_ns // NS_PER_S * REQUESTS_A_SECOND + place,
            segment=self.state.segment - self.lagging,
            t_sched_ns=send_ns,
            t_send_ns=send_ns,
            t_first_ns=None if failed else first_ns,
            t_last_ns=None if failed else end_ns,
            t_end_ns=end_ns,
            connect_ms=None,
            prompt_tokens_asked=8,
            prompt_tokens=8,
            cached_tokens=None,
            output_tokens_asked=10,
            output_tokens=0
            if failed
            else 1
            if self.one_token and not place
            else 10
            if lane == "a"
            else self.b_output,
            tokens_from="usage",
            chunks=10,
            k_first=1,
            finish_reason="length",
            outcome="failed" if failed else "ok",
            http_status=200,
            cause="reset" if failed else "",
            detail="",
            stamp="user",
        )
