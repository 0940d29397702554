"""A replay without a screen: a line for each second and each event, for a pipe, a log or a screen reader."""

import time
from datetime import UTC, datetime
from typing import Final

from tui.cli.collecting import second_text
from tui.cli.output import say
from tui.records.errors import UserError
from tui.records.frame import Batch
from tui.records.text import clean
from tui.session.replay.session import How
from tui.session.replay.tape import Tape
from tui.widgets import numbers
from tui.widgets.event_text import event_text

NS: Final = 1_000_000_000
LOOK_EVERY_S: Final = 0.5


def play_plain(tape: Tape, how: How) -> None:
    """Print the seconds of a tape as they come due. UserError when there is none."""
    duration_s = (tape.t_end_ns - tape.t0_ns) / NS
    if not duration_s and not how.follow:
        raise UserError(f"{tape.info.name} holds no whole second: there is nothing to replay")
    at_ns = tape.t0_ns + int(min(max(how.start_at(duration_s), 0.0), duration_s)) * NS
    begun_s, begun_ns = time.monotonic(), at_ns
    while True:
        for batch in tape.seconds(at_ns) if at_ns < tape.t_end_ns else ():
            at_ns = batch.t_ns
            if not how.follow:
                time.sleep(max(0.0, (at_ns - begun_ns) / NS / how.speed - (time.monotonic() - begun_s)))
            _say_second(tape, batch)
        if not how.follow:
            return
        live = tape.live
        if not tape.refresh() and not live:
            say(f"ended: {clean(tape.info.ended) or 'cut off'}")
            return
        time.sleep(LOOK_EVERY_S if live else 0.0)


def _say_second(tape: Tape, batch: Batch) -> None:
    for event in batch.events:
        lane = f"{event.lane.upper()} " if event.lane else ""
        say(f"{_clock(tape, event.t_ns)}  {lane}{event_text(event)}")
    if batch.seconds:
        say(f"{_clock(tape, batch.t_ns)}  {'   '.join(map(second_text, batch.seconds))}")


def _clock(tape: Tape, t_ns: int) -> str:
    """Since the load began, and on the wall."""
    since = numbers.clock(max(0, (t_ns - tape.t0_ns) // NS))
    wall = datetime.fromtimestamp((tape.info.wall_ns + t_ns - tape.t0_ns) / NS, UTC)
    return f"{since}  {wall:%H:%M:%S}"
