"""The margin δ under which two lanes are level, and where it comes from: the profile that a session was run with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui.analysis.verdict.word import DELTA


@dataclass(frozen=True, slots=True)
class Margin:
    """δ as a share, and its source: `calibrated 2026-11-23`, `set in the profile`, `the usual one`."""

    delta: float
    source: str

    @property
    def text(self) -> str:
        """`±1.2 %, calibrated 2026-11-23`."""
        return f"±{self.delta * 100:.2g} %, {self.source}"


def margin_of(profile: Mapping[str, Any]) -> Margin:
    """That of a session, from the profile in its `session.toml`."""
    delta = profile.get("delta")
    if not isinstance(delta, float | int) or not 0 < delta < 1:
        return Margin(DELTA, "the usual one")
    return Margin(float(delta), str(profile.get("delta_from") or "set in the profile"))


def widest(profiles: Sequence[Mapping[str, Any]]) -> Margin:
    """That of several sessions: what is level in one of them is no lead over all."""
    margins = [margin_of(profile) for profile in profiles]
    return max(margins, key=lambda margin: margin.delta, default=margin_of({}))
