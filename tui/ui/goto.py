"""Where a jump goes: to a moment that was typed, or to the next thing that happened."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tui.model.text import UserError
from tui.session.source import Moment
from tui.ui.widgets.numbers import short_clock

HOW: Final = "1:30, 90, 14:03:10 (UTC), 50%"
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*s?")
_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The length of a recording, and when it began by the wall clock (None: not known)."""

    duration_s: float
    began_wall_s: float | None


def moment_at(text: str, recorded: Recorded) -> float:
    """The second that a typed moment means. UserError with one sentence where it means none.

    Three numbers are a time of the day (UTC) if the recording has that time, else hours, minutes and seconds into it.
    """
    text = text.strip()
    if share := _SHARE.fullmatch(text):
        return _within(text, float(share[1]) / 100 * recorded.duration_s, recorded)
    if seconds := _SECONDS.fullmatch(text):
        return _within(text, float(seconds[1]), recorded)
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise UserError(f"{text or 'nothing'} is no moment: type one like {HOW}")
    hours, minutes, seconds_s = (int(part or 0) for part in clock.groups())
    if seconds_s > 59 or (clock[1] and minutes > 59):
        raise UserError(f"{text} is no time: minutes and seconds end at 59")
    into_s = 3600.0 * hours + 60 * minutes + seconds_s
    if clock[1] is None:
        return _within(text, into_s, recorded)
    of_day = _of_day(into_s, recorded)
    if of_day is not None:
        return of_day
    if into_s <= recorded.duration_s or recorded.began_wall_s is None:
        return _within(text, into_s, recorded)
    began, ended = (_utc(recorded.began_wall_s + at) for at in (0.0, recorded.duration_s))
    raise UserError(f"{text} is not in the recording, which runs from {began:%H:%M:%S} to {ended:%H:%M:%S} UTC")


def _within(text: str, t_s: float, recorded: Recorded) -> float:
    if t_s > recorded.duration_s:
        raise UserError(f"{text} is past the end: the recording is {short_clock(recorded.duration_s)} long")
    return t_s


def _of_day(into_s: float, recorded: Recorded) -> float | None:
    """The first time that this time of the day comes in the recording."""
    if recorded.began_wall_s is None:
        return None
    began = _utc(recorded.began_wall_s)
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    # A whole second is meant, and the recording may have begun within it.
    at = midnight + timedelta(seconds=into_s)
    while at < began.replace(microsecond=0):
        at += timedelta(days=1)
    t_s = max((at - began).total_seconds(), 0.0)
    return t_s if t_s <= recorded.duration_s else None


def _utc(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC)


def shown_at(moment: Moment, duration_s: float) -> float:
    """The whole second at which a picture shows what happened in the second before it."""
    return float(min(math.ceil(moment.t_s), math.floor(duration_s)))


def moment_from(moments: Iterable[Moment], here_s: float, way: int, duration_s: float) -> list[Moment]:
    """What happened at the nearest second after (1) or before (-1) this one; empty when there is nothing more."""
    beyond = [m for m in moments if (shown_at(m, duration_s) - here_s) * way > 0]
    if not beyond:
        return []
    nearest = min(beyond, key=lambda m: abs(shown_at(m, duration_s) - here_s))
    return moments_at(beyond, shown_at(nearest, duration_s), duration_s)


def moments_at(moments: Iterable[Moment], here_s: float, duration_s: float) -> list[Moment]:
    """What the picture at this second is the first to show."""
    return [moment for moment in moments if shown_at(moment, duration_s) == here_s]


def moments_text(moments: Sequence[Moment]) -> str:
    """`conc 8→16`, `B read timeout ×3`, `mark after warm-up (beside)`."""
    return ", ".join(_text(moment) for moment in moments)


def _text(moment: Moment) -> str:
    word = "" if moment.kind == "dial" or moment.text.startswith(moment.kind) else moment.kind
    beside = "(beside the recording)" if moment.beside else ""
    return " ".join(part for part in (moment.lane.upper(), word, moment.text, beside) if part)
