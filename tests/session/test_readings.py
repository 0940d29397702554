"""What servers and GPUs said, with its age, as it reaches the view."""

import pytest

from tests.session.made_seconds import Run
from tui.model import gauges as g
from tui.model.metrics import NS_PER_S
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Batch, EventRow, GaugeRow, Lane
from tui.session.view import View

GIB = float(1 << 30)
POOL = {g.KV_POOL_TOKENS: 262_144.0, g.KV_BYTES: 32 * GIB, g.WEIGHTS_BYTES: 15 * GIB, g.KV_USAGE: 0.4}
GPU = {g.GPU_MEMORY_USED: 70 * GIB, g.GPU_TEMPERATURE: 64.0, g.GPU_THROTTLED: 1.0}


def read(run: Run, source: str, values: dict[str, float], *, ago_s: float = 0.0, lanes: str = "a") -> None:
    """A reading of so long ago."""
    t_ns = run.state.t_ns - int(ago_s * NS_PER_S)
    rows = [
        GaugeRow("a" if lane == "a" else "b", source, name, t_ns, v) for lane in lanes for name, v in values.items()
    ]
    run.state.apply(Batch(run.state.t_ns, gauges=rows))


def drawing(run: Run, watts: float, seconds: int, *, lanes: str = "ab") -> View:
    """So many seconds on GPU 0, whose energy is read each second."""
    for n in range(seconds + 1):
        read(run, "gpu0", {g.GPU_ENERGY: watts * n}, lanes=lanes)
        if n < seconds:
            run.seconds(1)
    return run.view()


@pytest.mark.parametrize("ago_s", [0.0, 0.7, 12.0, 45.0])
def test_the_age_of_a_reading_is_that_of_the_newest_of_its_source(ago_s: float) -> None:
    run = Run()
    run.seconds(60)
    for source in ("server", "gpu0", "gpu3"):
        read(run, source, {g.RUNNING: 1.0}, ago_s=50.0)
        read(run, source, {g.KV_USAGE: 0.5}, ago_s=ago_s)
    lane = run.view().lanes["a"]
    assert lane.server.age_s == pytest.approx(ago_s)
    assert [gpu.index for gpu in lane.gpus] == [0, 3]
    assert [gpu.age_s for gpu in lane.gpus] == pytest.approx([ago_s, ago_s])
    assert run.view().lanes["b"].server.age_s is None


def test_an_exporter_that_reads_seldom_grows_old_until_it_reads_again() -> None:
    run = Run()
    read(run, "gpu0", {g.GPU_POWER: 300.0})
    ages = []
    for second in range(40):
        run.seconds(1)
        if second == 29:  # its default period
            read(run, "gpu0", {g.GPU_POWER: 310.0})
        ages.append(run.view().lanes["a"].gpus[0].age_s)
    assert ages[:29] == pytest.approx(range(1, 30))
    assert ages[29:] == pytest.approx(range(11), abs=1e-6)
    assert run.view().lanes["a"].gpus[0].power_w == 310


def test_a_reading_of_long_ago_is_not_shown_as_now() -> None:
    run = Run()
    read(run, "server", {g.RUNNING: 9.0})
    read(run, "gpu0", {g.GPU_POWER: 300.0})
    run.seconds(91)
    lane = run.view().lanes["a"]
    assert (lane.server.running, lane.gpus[0].power_w) == (None, None)
    assert (lane.server.age_s, lane.gpus[0].age_s) == pytest.approx((91, 91))


def test_a_trouble_is_noted_until_the_source_reads_again() -> None:
    run = Run()
    run.state.apply(Batch(run.state.t_ns, events=[EventRow("a", run.state.t_ns, "fault", "server", text="HTTP 503")]))
    assert run.view().lanes["a"].server.note == "HTTP 503"
    read(run, "server", {g.RUNNING: 9.0})
    assert run.view().lanes["a"].server.note == ""


def test_where_the_pool_is_preallocated_weights_pool_and_use_are_shown() -> None:
    run = Run()
    run.seconds(1)
    read(run, "server", POOL)
    read(run, "gpu0", GPU)
    server, gpu = run.view().lanes["a"].server, run.view().lanes["a"].gpus[0]
    assert server.kv_preallocated
    assert (server.kv_pool_tokens, server.kv_pool_bytes, server.weights_bytes) == (262_144, 32 * GIB, 15 * GIB)
    assert server.kv_usage == 0.4
    assert (gpu.temperature_c, gpu.throttled) == (64, True)


@pytest.mark.parametrize(("engine", "late_s"), [("vllm", 0.0), ("lmdeploy", 10.0), ("somebody else's", 0.0)])
def test_a_server_that_renews_its_gauges_late_says_how_late(engine: str, late_s: float) -> None:
    run = Run(engine=engine)
    run.seconds(1)
    assert run.view().lanes["a"].server.refresh_s == late_s


def test_gauges_of_the_last_ended_request_and_what_turns_the_missing_ones_on() -> None:
    run = Run(engine="trtllm")
    run.seconds(1)
    read(run, "server", {g.REQUESTS_FINISHED: 0.0})
    assert run.view().lanes["a"].server.note == "", "before any request there are none"
    read(run, "server", {g.REQUESTS_FINISHED: 2.0})
    server = run.view().lanes["a"].server
    assert server.refresh_at_end
    assert server.note.startswith("the metrics of TensorRT-LLM lack the gauges of running and waiting requests")
    assert "enable_iter_perf_stats: true" in server.note
    read(run, "server", {g.RUNNING: 1.0, g.WAITING: 0.0})
    assert run.view().lanes["a"].server.note == ""


def test_tokens_per_joule_of_a_lane_with_an_unshared_gpu() -> None:
    assert drawing(Run(rate={"a": 1000, "b": 1}), 250, 20, lanes="a").lanes["a"].tokens_per_joule == pytest.approx(
        4.0, rel=0.05
    )


def test_lanes_on_one_gpu_at_once_cannot_tell_its_energy_apart_but_in_turns_they_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def figures(mode: str, dcgm: tuple[str, str] = ("", "")) -> list[float | None]:
        server: dict[Lane, LaneProfile] = {
            "a": LaneProfile(url="http://x", dcgm=dcgm[0]), "b": LaneProfile(url="http://x", dcgm=dcgm[1]),
        }  # fmt: skip
        made = Profile(
            name="made", mode="alternate" if mode == "alternate" else "together", a=server["a"], b=server["b"]
        )
        monkeypatch.setattr(Run, "profile", property(lambda _: made))
        lanes = drawing(Run(), 250, 12).lanes
        return [lanes[lane].tokens_per_joule for lane in ("a", "b")]

    assert figures("together") == [None, None]
    assert None not in figures("alternate")
    assert None not in figures("together", ("one:9400", "two:9400"))
