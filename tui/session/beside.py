"""What stands beside the rows when they are shown or cut."""

from collections.abc import Mapping
from dataclasses import dataclass

from tui.profile.model import Profile
from tui.records.dials import Dials
from tui.records.rows import Lane
from tui.records.session import LaneInfo


@dataclass(frozen=True, slots=True)
class Beside:
    """What a view needs besides the rows."""

    profile: Profile
    infos: Mapping[Lane, LaneInfo]
    dials: Mapping[Lane, Dials]
    wall_ns: int


@dataclass(frozen=True, slots=True)
class LaneNow:
    """What a second's row says of its lane besides what happened in it."""

    concurrency: int
    up: bool
    resting: bool
