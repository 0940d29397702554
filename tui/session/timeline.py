"""What a recording says of itself over time: its profile, its dials, and the moments worth a jump."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from tui.model.dials import DIAL, Dials, DialValue, TrafficKind, dial_value
from tui.model.metrics import NS_PER_S
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import LANES, EventRow, Lane
from tui.model.session import SessionInfo
from tui.profile.reading import lane_dials
from tui.session.source import Moment, MomentKind

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
    known: dict[str, Any] = {}
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
        known[field.name] = value
    return known


def first_dials(profile: Profile) -> dict[Lane, Dials]:
    """The dials of each lane as the session began."""
    return {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}


def dials_after(first: Mapping[Lane, Dials], events: Iterable[EventRow]) -> dict[Lane, Dials]:
    """The dials in force once these dial events have happened."""
    dials = dict(first)
    for event in events:
        if event.kind == "dial" and event.name in DIAL:
            dials |= {lane: _turned(before, event) for lane, before in dials.items() if event.lane in ("", lane)}
    return dials


def _turned(dials: Dials, event: EventRow) -> Dials:
    return dials_of({event.name: event.new}, dials)


def dials_of(setting: Mapping[str, str], base: Dials) -> Dials:
    """The dials with those of a setting, which are as an operator reads them. What is no value changes nothing."""
    turned: dict[str, DialValue] = {}
    for name, text in setting.items():
        if name in DIAL:
            with suppress(ValueError):
                turned[name] = dial_value(DIAL[name], text)
    return msgspec.structs.replace(base, **turned)


def recorded_traffic(profile: Profile) -> TrafficKind:
    """What the traffic of a recorded session gave dials a meaning."""
    is_file = bool(profile.data.file)
    return TrafficKind(
        file=is_file,
        times=profile.load.arrival == "trace",
        pauses=is_file or profile.load.think_s > 0,
        shared_prefix=not is_file,
    )


KINDS: Final[dict[str, MomentKind]] = {
    "dial": "dial",
    "fault": "fault",
    "bound": "fault",
    "incomparable": "fault",
    "slowed": "fault",
    "mark": "mark",
    "note": "note",
    "down": "down",
    "up": "up",
    "end": "end",
}


def moments_of(
    events: Sequence[EventRow], t0_ns: int, end_s: float, annotations: Sequence[EventRow] = ()
) -> list[Moment]:
    """The moments of a recording's events and of the annotations next to it, in order of time, within its length.

    A fault that is over, and a client that is no limit any more, are no moments.
    """
    rows = [(row, False) for row in events] + [(row, True) for row in annotations]
    moments = []
    for row, is_annotation in rows:
        over = (row.kind in ("fault", "incomparable") and not row.text) or (row.kind == "bound" and row.new == "off")
        if row.kind in KINDS and not over:
            t_s = min(max(0.0, (row.t_ns - t0_ns) / NS_PER_S), end_s)
            moments.append(Moment(t_s, KINDS[row.kind], _text(row), row.lane, is_annotation))
    return sorted(moments, key=lambda moment: moment.t_s)


def _text(row: EventRow) -> str:
    if row.kind == "dial":
        label = DIAL[row.name].label if row.name in DIAL else row.name
        return f"{label} {row.old}→{row.new}"
    if row.kind == "bound":
        return f"client-bound {row.text}".strip()
    return row.text or row.kind
