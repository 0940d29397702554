"""Care for servers that others use: so many streams at most, and one stream to a server that fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from tui.model.dials import Dials
from tui.model.profile import Profile
from tui.model.rows import Lane, RequestRow
from tui.model.text import UserError
from tui.profile.reading import lane_dials

ENDED: Final = ("ok", "failed")  # outcomes that say something of the server
RECENT: Final = 50  # requests of a lane, of which a share may fail


class LoadLimits(msgspec.Struct):
    """`max_streams`: None is no limit. A lane is slowed where more than `failing_share` of its requests fail."""

    max_streams: int | None = None
    failing_share: float = 0.2
    slowed: set[Lane] = msgspec.field(default_factory=set)
    _failed: dict[Lane, deque[bool]] = msgspec.field(default_factory=dict)

    def take(self, lane: Lane, requests: Sequence[RequestRow]) -> str:
        """Requests that ended; returns one sentence when the lane is slowed by them."""
        recent = self._failed.setdefault(lane, deque(maxlen=RECENT))
        recent.extend(request.outcome == "failed" for request in requests if request.outcome in ENDED)
        if lane in self.slowed or len(recent) < RECENT or sum(recent) <= self.failing_share * RECENT:
            return ""
        self.slowed.add(lane)
        return f"{sum(recent)} of the last {RECENT} requests failed: slowed to one stream until a dial is turned"

    def restart(self) -> None:
        """A dial was turned: the load is as it says, until requests fail again."""
        self.slowed.clear()
        self._failed.clear()

    def allowed(self, lane: Lane, dials: Dials) -> Dials:
        """The dials, or one stream for a lane that is slowed."""
        if lane not in self.slowed or not (dials.concurrency or dials.request_rate):
            return dials
        return msgspec.structs.replace(dials, arrival="closed", concurrency=min(dials.concurrency or 1, 1))

    def check(self, profile: Profile) -> None:
        """UserError where a profile asks for more streams than are allowed, at its start or in a step."""
        asked = [lane_dials(profile, lane).concurrency for lane in profile.lanes.values()]
        self.check_streams([*asked, *(step.dials.get("concurrency", 0) for step in profile.plan)])

    def check_streams(self, asked: Sequence[float | str]) -> None:
        most = max((int(streams) for streams in asked), default=0)
        if self.max_streams is not None and most > self.max_streams:
            raise UserError(
                f"{most} streams are more than your config allows ([limits] max_streams = {self.max_streams}): ask "
                "for fewer, or raise it (`dragstrip config` says where it is)"
            )
