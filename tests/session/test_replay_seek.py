"""Wherever one jumps to, the picture is the one that a live session shows there, which folds every second."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.recording import synthetic
from tui.model.profile import Profile
from tui.model.rows import LANES, Batch, EventRow, GaugeRow, Lane
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape
from tui.session.make_view import judgement, make_view
from tui.session.recorded_state import READING, Judgements, Playback, SegmentTps, recorded_context
from tui.session.state import SessionState
from tui.session.timeline import profile_of
from tui.session.verdicts import LiveVerdicts
from tui.session.view import WINDOWS_S, Judgement, View

NS = synthetic.SECOND_NS
SECONDS = 420  # longer than the longest window with its margin


def eventful(batch: Batch) -> Batch:
    """A second with what a long session has: turns of a dial, faults, a lane that is down for a while, GPUs."""
    second = (batch.t_ns - synthetic.T0_NS) // NS - 1
    at_ns = batch.t_ns - NS // 2
    events = {
        90: EventRow("", at_ns, "dial", "concurrency", "8", "16"),
        120: EventRow("b", at_ns, "down", text="refused"),
        125: EventRow("b", at_ns, "up"),
        130: EventRow("a", at_ns, "fault", "server", text="no metrics page"),
        140: EventRow("a", at_ns, "fault", "server"),
        300: EventRow("", at_ns, "dial", "concurrency", "16", "8"),
        310: EventRow("", at_ns, "mark", text="here"),
    }
    # One GPU is read once at the start and never again: it is shown with its age.
    gauges = [GaugeRow("a", "gpu0", "memory_used", at_ns, float(second))] if second == 3 or second % 30 == 0 else []
    return replace(batch, events=[events[second]] if second in events else [], gauges=[*batch.gauges, *gauges])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions") / "eventful"
    profile = {
        "name": "eventful",
        "a": {"url": "http://127.0.0.1:8001"},
        "b": {"url": "http://127.0.0.1:8002"},
        "slo": {"ttft_ms": 150.0},
    }
    recorder = Recorder(folder, synthetic.info("eventful", profile=profile))
    for batch in synthetic.batches(SECONDS, synthetic.Load(4, 10, failed_every=301)):
        recorder(eventful(batch))
    recorder.close("done", float(SECONDS))
    return folder


@pytest.fixture(scope="module")
def profile(folder: Path) -> Profile:
    return profile_of(open_session(folder).info)


@pytest.fixture(scope="module")
def judgements(folder: Path, profile: Profile) -> Judgements:
    judgements = Judgements(Tape(open_session(folder)), profile)
    judgements.run(follow=False)
    assert judgements.reached == SECONDS
    return judgements


class Live:
    """Every second folded and judged, as a live session does."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.tape, self.profile = Tape(open_session(folder)), profile
        self.state = SessionState(self.tape.t0_ns, live_verdicts=LiveVerdicts.under(profile))
        self.state.apply(self.tape.between(0, self.tape.t0_ns))
        self.state.begin(self.tape.t0_ns)

    def judged(self) -> Judgement:
        return judgement(self.state, recorded_context(self.tape, self.profile, self.state))

    def step(self) -> None:
        if self.state.t_ns < self.tape.t_end_ns:
            self.state.apply(self.tape.between(self.state.t_ns, self.state.t_ns + NS))

    def view(self, window_s: int) -> View:
        context = recorded_context(self.tape, self.profile, self.state)
        return replace(make_view(self.state, context, window_s, self.judged()), recording=self.tape.info.name)


def without_history(view: View) -> str:
    """By text: what is not known yet may be nan."""
    return repr(replace(view, history=()))


def test_every_second_jumped_to_is_the_one_played_to(folder: Path, profile: Profile, judgements: Judgements) -> None:
    live, jumping = Live(folder, profile), Playback(Tape(open_session(folder)), profile, judgements)
    for second in range(SECONDS + 1):
        if second in (0, 1, 9, 95, 121, 135, 299, 301, 350, SECONDS):
            for window_s in WINDOWS_S:
                playback = jumping.moved_to(second, window_s)
                assert without_history(playback.view(window_s)) == without_history(live.view(window_s))
        live.step()


def test_lanes_in_turns_are_the_same_too_though_their_seconds_lie_far_back(folder: Path, tmp_path: Path) -> None:
    profile = profile_of(open_session(folder).info)
    in_turns = replace(profile, mode="alternate")
    recorder = Recorder(tmp_path / "turns", synthetic.info("turns"))
    for batch in synthetic.batches(SECONDS, synthetic.Load(4, 10)):
        turn = "ab"[(batch.t_ns - synthetic.T0_NS) // NS // 40 % 2]
        rows = [replace(row, resting=row.lane != turn, segment=0) for row in batch.seconds]
        recorder(replace(batch, seconds=rows, requests=[replace(row, segment=0) for row in batch.requests]))
    recorder.close("done", float(SECONDS))
    judgements = Judgements(Tape(open_session(tmp_path / "turns")), in_turns)
    judgements.run(follow=False)
    live = Live(tmp_path / "turns", in_turns)
    jumping = Playback(Tape(open_session(tmp_path / "turns")), in_turns, judgements)
    for second in range(SECONDS + 1):
        if second in (0, 35, 75, 200, SECONDS):
            for window_s in WINDOWS_S:
                playback = jumping.moved_to(second, window_s)
                assert without_history(playback.view(window_s)) == without_history(live.view(window_s))
        live.step()
    assert live.view(WINDOWS_S[-1]).lanes["a"].latencies["ttft"].n > 3 * 140  # of its turns in five minutes


@pytest.mark.parametrize("second", [0, 30, 110, 360])
def test_what_is_played_after_a_jump_is_the_same_too(
    folder: Path, profile: Profile, judgements: Judgements, second: int
) -> None:
    live = Live(folder, profile)
    for _ in range(second):
        live.step()
    jumped = Playback(Tape(open_session(folder)), profile, judgements).moved_to(second, 30)
    for _ in range(12):
        live.step()
        assert jumped.may_step
        jumped.step()
        assert without_history(jumped.view(30)) == without_history(live.view(30))
    assert without_history(jumped.view(300)) == without_history(live.view(300))


def test_what_was_said_of_each_second_is_known_wherever_one_jumps_to(
    folder: Path, profile: Profile, judgements: Judgements
) -> None:
    live, said = Live(folder, profile), []
    for _ in range(40):
        live.step()
        said.append(live.judged().verdicts)
    jumping = Playback(Tape(open_session(folder)), profile, judgements)
    assert repr(jumping.moved_to(40, 30).view(30).history) == repr(said)
    assert repr(jumping.moved_to(7, 30).view(30).history) == repr(said[:7])
    assert list(jumping.moved_to(0, 30).view(30).history) == []


def test_until_the_whole_of_before_is_folded_only_the_verdicts_wait(
    folder: Path, profile: Profile, judgements: Judgements
) -> None:
    known, unknown = (
        Playback(Tape(open_session(folder)), profile, of).moved_to(250, 60) for of in (judgements, None)
    )
    assert unknown.may_step
    lanes = {lane: replace(shown, limits_met="") for lane, shown in known.view(60).lanes.items()}
    assert unknown.view(60).lanes == lanes
    assert unknown.view(60).events == known.view(60).events
    assert {verdict.word for verdict in unknown.view(60).verdicts.values()} == {"undecided"}
    assert unknown.view(60).verdicts["output_tps"].reason == READING
    assert known.view(60).verdicts["output_tps"].word == "level"
    assert [row.settled_s > 0 for row in known.view(60).ledger] == [True, True]


def test_the_seconds_of_a_segment_are_kept_once_and_shown_at_each_second() -> None:
    tps = SegmentTps(LANES)
    seen: list[dict[Lane, list[float]]] = [{"a": [], "b": []}]
    for second in range(1, 40):
        whole = seen[-1]["a"] if second not in (10, 25) else []  # a dial was turned
        whole = whole[5:] if second == 35 else whole  # the oldest have gone
        values = [*whole, float(second)] if second % 3 else whole
        seen.append({"a": values, "b": [value + 1 for value in values]})
    for of in seen:
        tps.add(of)
    assert [tps.at(second) for second in range(40)] == seen
