"""What is left on the terminal when the screen has gone: six lines at most."""

from tui.records.text import clean
from tui.screens.headline import FORBIDDEN
from tui.session.view import LaneView, Percentiles, VerdictView, View
from tui.widgets import numbers
from tui.widgets.verdict_line import ratio_text


def summary_lines(view: View) -> list[str]:
    """One line a lane, the plain ratio, where it is recorded."""
    if not view.second:
        return []
    lines = [f"after {numbers.clock(view.second)}:"]
    lines += [_lane(lane) for lane in view.lanes.values()]
    if len(view.lanes) > 1:
        lines.append(_compared(view))
    if view.recording:
        lines.append(f"recorded: {clean(view.recording)}")
    return lines


def _compared(view: View) -> str:
    """The last verdict on throughput; without one, the plain ratio over the window."""
    found = view.verdicts.get("output_tps") or VerdictView("undecided")
    a, b = view.lanes["a"].output_tps, view.lanes["b"].output_tps
    plain = a / b if a is not None and b else None
    between = f" [{found.low:.2f} … {found.high:.2f}]" if found.low is not None and found.high is not None else ""
    why = clean(found.reason.removeprefix(FORBIDDEN)) if found.word == "not comparable" else ""
    ratio = ratio_text(plain if found.ratio is None else found.ratio)
    return f"A/B output tok/s {ratio}{between}, {found.word}{': ' if why else ''}{why}"


def _lane(lane: LaneView) -> str:
    title = (
        f"{clean(lane.info.title, 40)}{' SIMULATED' if lane.info.simulated else ''}" if lane.info else "not reached"
    )
    ttft = lane.latencies.get("ttft", Percentiles()).p50
    rate = f"{numbers.whole(lane.output_tps)} tok/s out over {lane.over_s} s"
    return (
        f"{lane.lane.upper()} {title}: {rate}, {numbers.whole(lane.done)} done, "
        f"{numbers.whole(lane.failed)} failed, TTFT p50 {numbers.figure(ttft)} ms"
    )
