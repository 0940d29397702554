"""The profile and the dials of a recording."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tui.profile.model import LaneProfile, Profile
from tui.profile.reading import lane_dials
from tui.records.dials import DIAL, Dials, DialValue
from tui.records.rows import LANES, EventRow, Lane
from tui.records.session import SessionInfo

Struct = type[msgspec.Struct]


def profile_of(info: SessionInfo) -> Profile:
    """The profile that a session was recorded with.

    What this version does not know of it, or what was imported from elsewhere without it, is left at its default.
    """
    raw = {"name": info.name, **info.profile}
    for lane in LANES:
        if lane in info.lanes and not isinstance(raw.get(lane), dict):
            raw[lane] = {"url": info.lanes[lane].url}
    try:
        return msgspec.convert(raw, Profile)
    except msgspec.ValidationError:
        return msgspec.convert({"a": {}, **_known(Profile, raw)}, Profile)


def _known(kind: Struct, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The values that this version has a place for."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in raw:
            continue
        value = raw[field.name]
        inner = LaneProfile if field.name in LANES else field.type
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            value = _known(inner, value)
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
        found[field.name] = value
    return found


def first_dials(profile: Profile) -> dict[Lane, Dials]:
    """The dials of each lane as the session began."""
    lanes: dict[Lane, LaneProfile] = {"a": profile.a} if profile.b is None else {"a": profile.a, "b": profile.b}
    return {lane: lane_dials(profile, server) for lane, server in lanes.items()}


def dials_after(first: Mapping[Lane, Dials], events: Iterable[EventRow]) -> dict[Lane, Dials]:
    """The dials in force once these dial events have happened."""
    dials = dict(first)
    for event in events:
        if event.kind == "dial" and event.name in DIAL:
            dials |= {lane: _turned(of, event) for lane, of in dials.items() if event.lane in ("", lane)}
    return dials


def _turned(dials: Dials, event: EventRow) -> Dials:
    """An event tells a dial as the operator reads it."""
    old: DialValue = getattr(dials, event.name)
    new: DialValue = event.new
    if not isinstance(old, str):
        try:
            number = float(event.new)
        except ValueError:
            return dials
        number = number / 100 if DIAL[event.name].unit == "%" else number
        new = round(number) if isinstance(old, int) else number
    return msgspec.structs.replace(dials, **{event.name: new})
