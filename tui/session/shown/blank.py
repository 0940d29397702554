"""The view of a session of which nothing is known yet: what the first paint shows."""

from collections.abc import Mapping

from tui.profile.model import Profile
from tui.records.dials import Dials
from tui.records.rows import Lane
from tui.session.view import LaneView, ServerView, View


def blank_view(profile: Profile, dials: Mapping[Lane, Dials], window_s: int) -> View:
    """Both lanes connecting, no number anywhere."""
    return View(
        second=0,
        window_s=window_s,
        title=profile.name,
        mode=profile.mode,
        simulated=False,
        lanes={lane: _blank_lane(lane, dials[lane]) for lane in dials},
        dial_marks=[],
        events=[],
        t0_ns=0,
        wall_ns=0,
    )


def _blank_lane(lane: Lane, dials: Dials) -> LaneView:
    return LaneView(
        lane=lane,
        info=None,
        state="connecting",
        state_text="",
        dials=dials,
        output_tps=None,
        total_tps=None,
        request_rate=None,
        curve=[],
        latencies={},
        in_flight=0,
        done=0,
        failed=0,
        causes={},
        last_error="",
        tokens_from_chunks=False,
        prompt_tokens_seen=None,
        output_tokens_seen=None,
        goodput=None,
        server=ServerView(),
        gpus=[],
        gpu_note="",
        client_cpu=0.0,
        loop_lag_ms=0.0,
        bound=False,
        stamp="",
    )
