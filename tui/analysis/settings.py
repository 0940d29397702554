"""Which dials were in force when, from the profile that a session started with and its dial events."""

from collections.abc import Iterable, Mapping
from typing import Any

from tui.records.dials import DIALS, DialSpec, DialValue, dial_text
from tui.records.rows import LANES, EventRow, Lane

Setting = Mapping[str, str]  # each dial's value as the operator reads it, by the dial's name; empty: not known
Settings = Mapping[Lane, Setting]


def first_settings(profile: Mapping[str, Any], lanes: Iterable[str]) -> dict[Lane, dict[str, str]]:
    """The dials of each lane as the session began. `profile` is that of `session.toml`.

    A dial that it does not tell, as that of another tool's imported result, is empty.
    """
    present = set(lanes)
    found: dict[Lane, dict[str, str]] = {}
    for lane in LANES:
        if lane in present:
            dials = {**profile.get("load", {}), **(profile.get(lane) or {}).get("dials", {})}
            found[lane] = {spec.name: _text(spec, dials.get(spec.name)) for spec in DIALS}
    return found


def _text(spec: DialSpec, value: DialValue | None) -> str:
    return "" if value is None else dial_text(spec, value)


def settings_at(
    profile: Mapping[str, Any], lanes: Iterable[str], events: Iterable[EventRow], moments_ns: Iterable[int]
) -> list[dict[Lane, dict[str, str]]]:
    """The dials of each lane at each of `moments_ns`, which rise."""
    now = first_settings(profile, lanes)
    moves = iter(sorted((event for event in events if event.kind == "dial"), key=lambda event: event.t_ns))
    move = next(moves, None)
    found = []
    for moment_ns in moments_ns:
        while move is not None and move.t_ns <= moment_ns:
            for lane, setting in now.items():
                if move.lane in ("", lane):
                    setting[move.name] = move.new
            move = next(moves, None)
        found.append({lane: dict(setting) for lane, setting in now.items()})
    return found
