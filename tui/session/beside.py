"""What stands beside the rows when they are shown or cut."""

from collections.abc import Mapping

import msgspec

from tui.profile.model import Profile
from tui.records.dials import Dials
from tui.records.rows import Lane
from tui.records.session import LaneInfo


class Beside(msgspec.Struct, frozen=True):
    """What a view needs besides the rows."""

    profile: Profile
    infos: Mapping[Lane, LaneInfo]
    dials: Mapping[Lane, Dials]
    wall_ns: int


class LaneNow(msgspec.Struct, frozen=True):
    """What a second's row says of its lane besides what happened in it."""

    concurrency: int
    up: bool
    resting: bool
