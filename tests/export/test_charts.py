"""The charts show what was measured: values in windows, gaps where there is too little, and the dials that moved."""

import struct
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from tests.recording import coherent, synthetic
from tests.recording.conftest import Make
from tui.export.charts import over_time
from tui.export.formats import export
from tui.model.dials import DIAL
from tui.model.session import LaneInfo
from tui.model.text import UserError
from tui.recording.reader import Selection
from tui.report.svg import memory_curves, time_chart

LOAD = synthetic.Load(requests_per_s=100, tokens=20)
SVG = "{http://www.w3.org/2000/svg}"


def parsed(path: Path) -> ET.Element:
    return ET.fromstring(path.read_text())  # noqa: S314  (we have just written it)


def texts(root: ET.Element, kind: str) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text") if kind in element.get("class", "").split()]


def test_a_picture_has_both_lanes_in_every_chart(make: Make, tmp_path: Path) -> None:
    (file,) = export(make(load=LOAD), "svg", tmp_path / "mine.svg")
    assert file.path == tmp_path / "mine.svg"
    root = parsed(file.path)
    charts = root.findall(f"{SVG}svg")
    assert texts(root, "caption") == [
        "Output tokens that arrived, each second",
        "Requests in flight, each second",
        *("TTFT p50 of each second", "TTFT p99 of each 5 s"),
        *("TPOT p50 of each second", "TPOT p99 of each 5 s"),
        *("ITL p50 of each second", "ITL p99 of each second"),
    ]
    assert [texts(chart, "letter") for chart in charts] == [["A", "B"]] * 8
    assert all(
        texts(chart, "mark")[1] == f"{DIAL['concurrency'].label} 8" for chart in charts
    )  # a dial that moved in second 7
    places = {(chart.get("x"), chart.get("y")) for chart in charts}
    assert len(places) == len(charts)


def test_large_numbers_are_written_out() -> None:
    assert ">15,000<" in time_chart({"a": [1.0, 12_345.0]}, "tok/s")


def test_a_window_and_a_lane(make: Make, tmp_path: Path) -> None:
    recorded = make(load=LOAD)
    t0 = synthetic.T0_NS + 5 * synthetic.SECOND_NS
    part = Selection(lane="b", t0_ns=t0, t1_ns=t0 + 10 * synthetic.SECOND_NS)
    (file,) = export(recorded, "svg", tmp_path, part)
    root = parsed(file.path)
    assert texts(root, "letter") == ["B"] * 8
    assert "From second 5 of" in texts(root, "note")[0]


def test_a_percentile_is_of_values_in_the_shortest_window_that_carries_it() -> None:
    slow = pl.DataFrame({"second": [at // 40 for at in range(400)], "ms": [float(at % 97) for at in range(400)]})
    line = over_time({"a": slow}, ("p99", "p95"), 10)
    assert line is not None
    assert (line.percentile, line.window_s) == ("p99", 10)
    assert set(line.lanes["a"]) == {sorted(slow["ms"])[395]}  # the 396th of 400
    line = over_time({"a": slow, "b": slow.filter(pl.col("second") < 4)}, ("p99", "p95"), 10)
    assert line is not None
    assert (line.percentile, line.window_s) == ("p95", 2)
    assert line.lanes["a"][0] == sorted(slow["ms"][:80])[75]
    assert line.lanes["b"] == [*line.lanes["a"][:4], *[None] * 6]
    assert over_time({"a": slow.head(71)}, ("p99", "p95"), 10) is None
    assert over_time({"a": slow.clear()}, ("p50",), 10) is None


def test_where_values_are_too_few_the_chart_says_so(tmp_path: Path) -> None:
    simulated = dict.fromkeys("ab", LaneInfo(url="", engine="vllm", title="<vLLM & co>", simulated=True))
    (file,) = export(coherent.record(tmp_path / "s", lanes=simulated), "svg", tmp_path / "out")
    root = parsed(file.path)
    assert file.path.name == "s.SIMULATED.svg"
    assert "TTFT p95: needs 72 values" in texts(root, "caption")
    assert texts(root, "title") == ["<vLLM & co> against <vLLM & co>: made-up"]
    assert texts(root, "simulated") == ["SIMULATED: these numbers come from simulated engines, not from real ones."]


def test_the_same_as_png(make: Make, tmp_path: Path) -> None:
    recorded = make(seconds=3)
    (svg,) = export(recorded, "svg", tmp_path)
    (png,) = export(recorded, "png", tmp_path)
    size = parsed(svg.path)
    head = png.path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert struct.unpack(">II", head[16:]) == tuple(2 * int(size.get(side, "0")) for side in ("width", "height"))


def test_png_without_its_library_is_one_sentence(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UserError, match="install dragstrip again, or export --format svg"):
        export(make(seconds=1), "png", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_memory_and_kv_cache_over_time_where_they_were_read(make: Make, tmp_path: Path) -> None:
    (file,) = export(make(load=LOAD), "svg", tmp_path / "none.svg")
    assert not [text for text in texts(parsed(file.path), "caption") if "memory" in text or "KV" in text]
    t0, second, gib = synthetic.T0_NS, synthetic.SECOND_NS, 2.0**30
    rows = [(lane, "gpu0", "memory_used_bytes", t0 + at * second, 40 * gib) for lane in "ab" for at in (0, 30)]
    rows += [("a", "gpu1", "memory_used_bytes", t0, 20 * gib), ("a", "server", "kv_usage", t0 + 2 * second, 0.5)]
    gauges = pl.DataFrame(rows, schema=["lane", "source", "name", "t_ns", "value"], orient="row")
    memory, cache = memory_curves(gauges, ["a", "b"], t0, 80)
    assert (memory.unit, cache.unit) == ("GiB", "%")
    assert memory.lines["a"] == [60.0] * 36 + [None] * 44  # of both GPUs, as long as both were read
    assert memory.lines["b"] == [40.0] * 66 + [None] * 14
    assert cache.lines["a"] == [None] * 2 + [50.0] * 36 + [None] * 42
    assert cache.lines["b"] == [None] * 80
    assert memory_curves(gauges.clear(), ["a", "b"], t0, 80) == []
