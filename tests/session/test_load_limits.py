"""Servers that others use: no more streams than allowed, and one stream where requests fail."""

import pytest
from msgspec.structs import replace

from tests.session.made_seconds import Run
from tui.cli import options
from tui.cli.main import main
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, LoadProfile, Profile, Step
from tui.model.rows import RequestRow
from tui.model.text import UserError
from tui.session.load_limits import LoadLimits

DIALS = Dials(concurrency=64)


def requests(ok: int, failed: int) -> list[RequestRow]:
    run = Run()
    rows = [run._request("a", 10**12, place) for place in range(ok + failed)]
    return [*rows[:ok], *(replace(row, outcome="failed") for row in rows[ok:])]


def test_a_lane_whose_requests_fail_is_slowed_until_a_dial_is_turned() -> None:
    limits = LoadLimits()
    assert limits.take("a", requests(39, 10)) == ""  # of fewer than 50 nothing is said
    assert limits.take("a", requests(1, 0)) == ""
    assert limits.allowed("a", DIALS) == DIALS
    said = limits.take("a", requests(0, 1))
    assert said == "11 of the last 50 requests failed: slowed to one stream until a dial is turned"
    assert limits.allowed("a", DIALS) == Dials(concurrency=1)
    assert limits.allowed("b", DIALS) == DIALS
    rate = Dials(arrival="poisson", request_rate=8.0, concurrency=64)
    assert (limits.allowed("a", rate).arrival, limits.allowed("a", rate).concurrency) == ("closed", 1)
    assert limits.take("a", requests(0, 50)) == ""  # said once
    limits.restart()
    assert limits.allowed("a", DIALS) == DIALS


def test_more_streams_than_allowed_are_refused_before_the_load() -> None:
    a = LaneProfile(url="http://a")
    limits = LoadLimits(max_streams=32)
    limits.check(Profile(a=a, load=LoadProfile(concurrency=32)))
    for profile in (
        Profile(a=a, load=LoadProfile(concurrency=64)),
        Profile(a=a, load=LoadProfile(concurrency=1), plan=[Step(dials={"concurrency": 64}, for_s=1)]),
    ):
        with pytest.raises(UserError, match="64 streams are more than your config allows"):
            limits.check(profile)


def test_another_host_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    profile = Profile(a=LaneProfile(url="http://198.51.100.1:8000"))
    options.ask_before_load(Profile(a=LaneProfile(url="http://127.0.0.1:1")), yes=False)
    assert main(["run", "--a", "http://198.51.100.1:8000", "--for", "1s"]) == 2
    assert (
        "load 198.51.100.1? Others may use it too. Nobody can answer here: --yes allows it" in capsys.readouterr().err
    )
    options.ask_before_load(profile, yes=True)
    options.ask_before_load(profile, yes=False)  # remembered
    other = Profile(a=LaneProfile(url="http://198.51.100.2:8000"))
    monkeypatch.setattr(options, "confirmed", lambda *_: False)
    with pytest.raises(UserError, match="nothing was sent"):
        options.ask_before_load(other, yes=False)
