"""The noise floors that `dragstrip calibrate` measured, kept in the user's data folder."""

from pathlib import Path

import msgspec

from tui.model.dials import DIALS, dial_text
from tui.model.profile import Profile
from tui.model.text import UserError
from tui.profile.reading import lane_dials


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """δ of one server under one setting, and the A/A run that it comes from."""

    server: str  # its URL, or the engine that a simulator plays
    model: str
    setting: str
    delta: float
    ratio: float
    low: float
    high: float
    seconds: int
    measured: str  # the day, as 2026-11-23


def store_path() -> Path:
    """The file of all floors."""
    from tui.recording.catalog import sessions_root

    return sessions_root().parent / "noise.json"


def floors() -> list[Floor]:
    """Every floor known. UserError when the file is damaged."""
    path = store_path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Floor])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and calibrate again") from error


def keep(floor: Floor) -> None:
    """Store a floor in place of an older one of the same server, model and setting."""
    path = store_path()
    kept = [other for other in floors() if _key(other) != _key(floor)] + [floor]
    scratch = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
        scratch.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from error


def identity(profile: Profile) -> tuple[str, str, str]:
    """Server, model and setting of lane A as the profile starts it."""
    lane, dials = profile.a, lane_dials(profile, profile.a)
    setting = ", ".join(f"{spec.label} {dial_text(spec, getattr(dials, spec.name))}" for spec in DIALS)
    return lane.url or f"simulated {lane.simulate}", lane.model, setting


def with_floor(profile: Profile) -> Profile:
    """The profile with the δ that was measured for it, unless it names one or none was."""
    if profile.delta is not None:
        return profile
    found = next((floor for floor in floors() if _key(floor) == identity(profile)), None)
    if found is None:
        return profile
    return msgspec.structs.replace(profile, delta=found.delta, delta_from=f"calibrated {found.measured}")


def _key(floor: Floor) -> tuple[str, str, str]:
    return floor.server, floor.model, floor.setting
