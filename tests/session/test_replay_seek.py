"""Wherever one jumps to, the picture is the one that playing up to there shows."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.recording import synthetic
from tui.model.profile import Profile
from tui.model.rows import Batch, EventRow, GaugeRow
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape
from tui.session.checkpoints import Course
from tui.session.playback import READING, Playing
from tui.session.timeline import profile_of
from tui.session.view import WINDOWS_S

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
def course(folder: Path, profile: Profile) -> Course:
    course = Course(Tape(open_session(folder)), profile)
    course.run(follow=False)
    assert course.reached == SECONDS
    return course


def test_every_second_jumped_to_is_the_one_played_to(folder: Path, profile: Profile, course: Course) -> None:
    played = Playing(Tape(open_session(folder)), profile)
    jumping = Playing(Tape(open_session(folder)), profile)
    for second in range(SECONDS + 1):
        if second in (0, 1, 9, 95, 121, 135, 299, 301, 350, SECONDS):
            for window_s in WINDOWS_S:
                found = jumping.standing_at(second, course, window_s)
                assert found.exact
                assert repr(found.view(window_s)) == repr(played.view(window_s))
        if not played.at_end:
            played.step()


def test_lanes_in_turns_are_the_same_too_though_their_seconds_lie_far_back(folder: Path, tmp_path: Path) -> None:
    profile = profile_of(open_session(folder).info)
    in_turns = replace(profile, mode="alternate")
    recorder = Recorder(tmp_path / "turns", synthetic.info("turns"))
    for batch in synthetic.batches(SECONDS, synthetic.Load(4, 10)):
        turn = "ab"[(batch.t_ns - synthetic.T0_NS) // NS // 40 % 2]
        rows = [replace(row, resting=row.lane != turn, segment=0) for row in batch.seconds]
        recorder(replace(batch, seconds=rows, requests=[replace(row, segment=0) for row in batch.requests]))
    recorder.close("done", float(SECONDS))
    played, jumping = (Playing(Tape(open_session(tmp_path / "turns")), in_turns) for _ in range(2))
    course = Course(Tape(open_session(tmp_path / "turns")), in_turns)
    course.run(follow=False)
    for second in range(SECONDS + 1):
        if second in (0, 35, 75, 200, SECONDS):
            for window_s in WINDOWS_S:
                found = jumping.standing_at(second, course, window_s)
                assert repr(found.view(window_s)) == repr(played.view(window_s))
        if not played.at_end:
            played.step()
    assert played.view(WINDOWS_S[-1]).lanes["a"].latencies["ttft"].n > 3 * 140  # of its turns in five minutes


@pytest.mark.parametrize("second", [0, 30, 110, 360])
def test_what_is_played_after_a_jump_is_the_same_too(
    folder: Path, profile: Profile, course: Course, second: int
) -> None:
    played = Playing(Tape(open_session(folder)), profile)
    for _ in range(second):
        played.step()
    jumped = Playing(Tape(open_session(folder)), profile).standing_at(second, course, 30)
    for _ in range(12):
        played.step()
        jumped.step()
        assert repr(jumped.view(30)) == repr(played.view(30))  # by text: what is not known yet may be nan
    assert repr(jumped.view(300)) == repr(played.view(300))
    there, here = jumped.state.standing, played.state.standing
    assert there.segment.finished == here.segment.finished
    there.segment.finished = here.segment.finished = set()  # whose text has no order
    for of in ("verdicts", "segment"):
        assert repr(getattr(there, of)) == repr(getattr(here, of))
    assert repr(there.ledger.visits) == repr(here.ledger.visits)


def test_before_the_course_is_known_only_the_verdicts_wait(folder: Path, profile: Profile, course: Course) -> None:
    start = Playing(Tape(open_session(folder)), profile)
    known, unknown = start.standing_at(250, course, 60), start.standing_at(250, None, 60)
    assert not unknown.exact
    lanes = {lane: replace(shown, limits_met="") for lane, shown in known.view(60).lanes.items()}
    assert unknown.view(60).lanes == lanes
    assert unknown.view(60).events == known.view(60).events
    assert {told.word for told in unknown.view(60).verdicts.values()} == {"undecided"}
    assert unknown.view(60).verdicts["output_tps"].reason == READING
    assert known.view(60).verdicts["output_tps"].word == "level"
    assert [row.settled_s > 0 for row in known.view(60).ledger] == [True, True]
