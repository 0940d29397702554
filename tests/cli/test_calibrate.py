"""The noise floor: measured on one server, stored, and found again by the next run."""

import pytest

from tui.cli import calibrate
from tui.cli.main import main
from tui.model.profile import LaneProfile, LoadProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.session.verdicts import LiveVerdicts

PROFILE = Profile(name="x", a=LaneProfile(url="http://127.0.0.1:8000"), load=LoadProfile(concurrency=8))


def made(noise: float) -> dict[Lane, list[float]]:
    steady = [1000.0 + noise * (i % 7 - 3) for i in range(100)]
    return {"a": steady, "b": steady[::-1]}


def test_a_measured_floor_is_used_for_that_setting_and_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measured(_profile: Profile, _for_s: float) -> dict[Lane, list[float]]:
        return made(5.0)

    monkeypatch.setattr(calibrate, "settled_tps", measured)
    assert main(["calibrate", "--a", PROFILE.a.url, "--max-concurrency", "8"]) == 0
    assert "δ = 1.0%" in capsys.readouterr().out
    same = calibrate.with_noise_floor(PROFILE)
    assert same.delta == pytest.approx(0.01)
    assert same.delta_from.startswith("calibrated 2")
    assert LiveVerdicts.under(same).delta == same.delta
    other = Profile(name="x", a=PROFILE.a, load=LoadProfile(concurrency=9))
    assert calibrate.with_noise_floor(other).delta is None
    named = Profile(name="x", a=PROFILE.a, load=PROFILE.load, delta=0.2)
    assert calibrate.with_noise_floor(named).delta == 0.2


def test_a_run_too_short_for_a_floor_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "demo", "--for", "2s"]) == 2
    assert "run at least 80 s" in capsys.readouterr().err
    assert calibrate.noise_floors() == []


def test_a_damaged_store_is_named() -> None:
    calibrate.store_path().parent.mkdir(parents=True, exist_ok=True)
    calibrate.store_path().write_text("{")
    with pytest.raises(UserError, match=r"noise\.json"):
        calibrate.noise_floors()
