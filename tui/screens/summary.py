"""What is left on the terminal when the screen has gone: six lines at most."""

from tui.records.text import clean
from tui.session.view import LaneView, Percentiles, View
from tui.widgets import numbers
from tui.widgets.verdict_line import ratio_text


def summary_lines(view: View) -> list[str]:
    """One line a lane, the plain ratio, where it is recorded."""
    if not view.second:
        return []
    lines = [f"{numbers.clock(view.second)}, last {view.window_s} s:"]
    lines += [_lane(lane) for lane in view.lanes.values()]
    if len(view.lanes) > 1:
        a, b = view.lanes["a"].output_tps, view.lanes["b"].output_tps
        lines.append(f"A/B output tok/s {ratio_text(a / b if a is not None and b else None)}, undecided")
    if view.recording:
        lines.append(f"recorded: {view.recording}")
    return lines


def _lane(lane: LaneView) -> str:
    title = (
        f"{clean(lane.info.title, 40)}{' SIMULATED' if lane.info.simulated else ''}" if lane.info else "not reached"
    )
    ttft = lane.latencies.get("ttft", Percentiles()).p50
    return (
        f"{lane.lane.upper()} {title}: {numbers.whole(lane.output_tps)} tok/s out, {numbers.whole(lane.done)} done, "
        f"{numbers.whole(lane.failed)} failed, TTFT p50 {numbers.milliseconds(ttft)} ms"
    )
