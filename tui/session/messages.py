"""What happens in a live session: messages on the one queue that `LiveSession` reads.

Lanes and the dial board post them; turns and plan return theirs, because the session asks them.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from tui.model.dials import Dials
from tui.model.rows import EventRow, Frame, GaugeRow, Lane


class FrameReceived(msgspec.Struct, frozen=True):
    """A driver's frame, ten a second a lane."""

    lane: Lane
    frame: Frame


class GaugesRead(msgspec.Struct, frozen=True):
    """Readings of a server or of GPUs."""

    rows: list[GaugeRow]


class EventHappened(msgspec.Struct, frozen=True):
    """A lane went down or up, a fault, a span in which the client was the limit."""

    row: EventRow


class ServerDetected(msgspec.Struct, frozen=True):
    """A server answered and its kind is known, for the first time or again."""

    lane: Lane


class DriverEnded(msgspec.Struct, frozen=True):
    """The driver ended, and its streams with it."""

    lane: Lane


class DialsSet(msgspec.Struct, frozen=True):
    """Dials to put in force, of every lane."""

    dials: dict[Lane, Dials]


Message = FrameReceived | GaugesRead | EventHappened | ServerDetected | DriverEnded | DialsSet
Messages = asyncio.Queue[Message]


class TurnGiven(msgspec.Struct, frozen=True):
    """Load goes to this lane alone; None: to no lane while the other one drains."""

    lane: Lane | None


class PlanMoved(msgspec.Struct, frozen=True):
    """A step began, the plan paused or ended, or a lane was given up. `dials`: to be put in force."""

    lane: Lane | Literal[""]
    name: Literal["step", "paused", "over", "given up"]
    text: str
    dials: dict[Lane, Dials] | None = None
