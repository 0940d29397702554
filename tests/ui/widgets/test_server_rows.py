"""What a lane's pane says about its GPUs and its server, for each kind of server."""

from msgspec.structs import replace

from tests.ui.fake_source import FakeSource, fake_gpu
from tui.session.view import LaneView, ServerView
from tui.ui.widgets.rows import Row
from tui.ui.widgets.server_rows import Bars, gpu_rows, power_top, server_row, trouble_row
from tui.ui.widgets.theme import SPARK_BLOCKS

BARS = Bars(150, 700.0, SPARK_BLOCKS)
GIB = 2**30


def lane(**changes: object) -> LaneView:
    return replace(FakeSource(second=150).view(30).lanes["a"], **changes)


def text(rows: list[Row]) -> str:
    assert len({sum(len(part) for part, _ in row) for row in rows}) == 1
    return "\n".join("".join(part for part, _ in row).rstrip() for row in rows)


def test_memory_and_kv_cache_are_curves_at_every_size_for_every_engine() -> None:
    for server in (lane().server, ServerView(kv_usage=0.38, kv_curve=[0.1] * 60 + [0.9] * 60)):  # pool taken, or not
        low = text(gpu_rows(lane(server=server), 38, BARS, tall=False)).splitlines()
        assert low[0] == "GPU0 61.2/79.6 GiB  97 %  606 W"
        memory, _, kv = low[1].partition(" KV 38 %  ")
        assert memory.startswith("mem ▆▆▆")
        assert len(set(kv)) > 1
        tall = text(gpu_rows(lane(server=server), 56, BARS, tall=True)).splitlines()
        assert tall[0].startswith("GPU0  mem  61.2/79.6 GiB  ")
        assert tall[0].endswith("▆▆▆")
        assert tall[1].startswith("      KV   38 %")
        assert len(set(tall[1][32:])) > 1
        assert "util 97 %" in tall[2]
        assert "power 606 W ▆" in tall[2]
        assert "flat" not in "".join([*low, *tall])


def test_the_size_of_a_pool_is_shown_as_far_as_it_is_known() -> None:
    assert "38 % of 44.0 GiB" in text(gpu_rows(lane(), 56, BARS, tall=True))
    tokens = ServerView(kv_usage=0.5, kv_preallocated=True, kv_pool_tokens=182_400)
    assert "50 % of 182k tok" in text(gpu_rows(lane(server=tokens), 56, BARS, tall=True))
    assert "KV   –" in text(gpu_rows(lane(server=ServerView()), 56, BARS, tall=True))


def test_without_a_gpu_the_kv_cache_that_the_server_reports_has_its_curve() -> None:
    remote = lane(gpus=[], gpu_note="no NVIDIA driver on this host")
    rows = text(gpu_rows(remote, 38, BARS, tall=False)).splitlines()
    assert rows[0] == "GPU  no NVIDIA driver on this host"
    assert rows[1].startswith("      KV   38 %   ▂▂")
    assert len(gpu_rows(lane(gpus=[], server=ServerView()), 38, BARS, tall=False)) == 1


def test_several_gpus_are_one_in_memory_and_power() -> None:
    two = lane(gpus=[fake_gpu("a", 150), fake_gpu("b", 150)])
    shown = text(gpu_rows(two, 56, BARS, tall=True))
    assert "2 GPU mem  126.0/159.2 GiB" in shown
    assert "38 % of 88.0 GiB" in shown
    assert "1,213 W" in shown
    assert power_top([two]) == 1300.0
    unread = replace(fake_gpu("b", 150), power_w=None)
    assert "– W" in text(gpu_rows(lane(gpus=[fake_gpu("a", 150), unread]), 56, BARS, tall=True))


def test_an_old_reading_is_dim_and_says_its_age() -> None:
    old = lane(gpus=[replace(fake_gpu("a", 150), age_s=12.4)])
    for tall in (False, True):
        rows = gpu_rows(old, 56, BARS, tall=tall)
        assert "12 s old" in text(rows)
        assert {role for part, role in rows[0] if "61.2" in part} == {"muted"}
    assert "old" not in text(gpu_rows(lane(), 56, BARS, tall=True))
    server = lane(server=ServerView(32, 0, 0.38, 0.31, 0, 5.0))
    for width in (38, 56):
        row = server_row(server, width)
        assert text([row]).endswith("5 s old")
        assert {role for _, role in row} <= {"muted", ""}
        assert all(role == "muted" for part, role in row if part.strip())
    assert "old" not in text([server_row(lane(server=ServerView(32, 0, 0.38, 0.31, 0, 2.9)), 56)])


def test_a_scrape_that_fails_is_one_line() -> None:
    fails = lane(server=ServerView(32, 0, 0.38, 0.31, 0, 12.0, note="metrics: HTTP 503"))
    assert text([trouble_row(fails, 56)]) == "! server gauges: metrics: HTTP 503"
    assert "✖ 3 failed" in text([trouble_row(replace(fails, failed=3, causes={"timeout": 3}), 56)])
    never = lane(server=ServerView(note="it has no /metrics"))
    assert text([server_row(never, 56)]) == "server  it has no /metrics"
    assert "no failures" in text([trouble_row(never, 56)])


def test_tokens_per_joule_and_held_clocks() -> None:
    assert text([trouble_row(lane(tokens_per_joule=4.11), 38)]).endswith("4.11 tok/J")
    assert text([trouble_row(lane(tokens_per_joule=None), 38)]) == "no failures"
    held = lane(gpus=[replace(fake_gpu("a", 150), throttled=True)], tokens_per_joule=12.34)
    assert text([trouble_row(held, 38)]) == "no failures   GPU clocks throttled"
    assert "12.3 tok/J" in text([trouble_row(replace(held, gpus=[]), 38)])


def test_on_a_gpu_that_others_use_the_memory_of_the_engine_is_a_separate_figure() -> None:
    shared = replace(fake_gpu("a", 150), memory_used_bytes=95.2 * GIB, memory_engine_bytes=47.5 * GIB)
    assert "47.5+47.7/79.6 GiB" in text(gpu_rows(lane(gpus=[shared]), 38, BARS, tall=False))
    assert "47.5+47.7/79.6 GiB" in text(gpu_rows(lane(gpus=[shared]), 56, BARS, tall=True))
    alone = replace(shared, memory_engine_bytes=95.0 * GIB)
    assert "95.2/79.6 GiB" in text(gpu_rows(lane(gpus=[alone]), 56, BARS, tall=True))


def test_temperature_and_preemptions_are_shown_where_they_are_read() -> None:
    hot = lane(gpus=[replace(fake_gpu("a", 150), temperature_c=71.4), replace(fake_gpu("b", 150), temperature_c=64)])
    assert "71 °C" in text(gpu_rows(hot, 56, BARS, tall=True))
    assert "°C" not in text(gpu_rows(lane(), 56, BARS, tall=True))
    assert "preempted" not in text([trouble_row(lane(server=ServerView(preemptions=0)), 56)])
    assert "12 preempted" in text([trouble_row(lane(server=ServerView(preemptions=12)), 56)])


def test_many_unscheduled_requests_are_shown() -> None:
    def trouble(unscheduled: float | None) -> str:
        return text([trouble_row(lane(server=ServerView(unscheduled=unscheduled)), 38)])

    assert trouble(0.41) == "41 % of requests unscheduled"
    assert "unscheduled" not in trouble(0.19) + trouble(None)
    held = lane(server=ServerView(unscheduled=0.41), gpus=[replace(fake_gpu("a", 150), throttled=True)])
    assert text([trouble_row(held, 56)]) == "41 % of requests unscheduled   GPU clocks throttled"
    assert text([trouble_row(held, 70)]) == "no failures   41 % of requests unscheduled   GPU clocks throttled"


def test_gauges_that_are_older_than_their_reading_are_said_to_be() -> None:
    ended = lane(server=ServerView(running=3, age_s=0.4, refresh_at_end=True))
    assert text([trouble_row(ended, 56)]) == "no failures   gauges of the last ended request"
    assert text([trouble_row(ended, 38)]) == "gauges of the last ended request"
    timed = lane(server=ServerView(running=3, age_s=0.4, refresh_s=10))
    assert text([trouble_row(timed, 56)]) == "no failures   gauges up to 10 s old"
    assert "gauges" not in text([trouble_row(lane(server=ServerView(refresh_at_end=True)), 56)])


def test_why_a_lane_is_down_has_a_separate_row() -> None:
    down = lane(state="down", state_text="refused: no server at 127.0.0.1:8001", failed=3, causes={"refused": 3})
    assert text([trouble_row(down, 38)]) == "✖ down: refused: no server at 127.0.0…"
    assert text([trouble_row(replace(down, state_text=""), 38)]).startswith("✖ 3 failed")
