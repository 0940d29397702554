"""Throughput against latency in place of the lanes, at every size and without colours."""

from dataclasses import replace

import pytest

from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import SWEPT, swept
from tests.ui.pilots import plain, settled
from tui.judge.sweep import curve
from tui.ui.app import DragstripApp
from tui.ui.widgets.chart import GLYPHS
from tui.ui.widgets.plots import NO_CURVE, sweep_rows, sweep_title

SENTENCE = "A ahead up to 4 streams, level from 16, B from 64"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_a_key_shows_the_curve_and_escape_the_lanes_again(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=size) as pilot:
        before = await settled(pilot)
        await pilot.press("k")
        text = await settled(pilot)
        assert "against TTFT p95, by conc   A solid   B dotted" in text
        for point in ("A16", "B16", "A64", "B64", "a128◂", "b128◂"):
            assert point in text
        assert "TPOT ms" not in text
        assert SENTENCE in text
        assert text.splitlines()[-1] == before.splitlines()[-1]
        await pilot.press("escape")
        assert (await settled(pilot)) == before


async def test_the_curve_grows_as_settings_are_visited() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("k")
        assert "No curve yet: it needs two settings of one dial" in await settled(pilot)
        for count in (2, 3, 5):
            source._change = swept(count)
            source.advance()
            text = await settled(pilot)
            assert f"A{SWEPT[count - 1][0]}" in text or f"a{SWEPT[count - 1][0]}" in text
            assert ("A128" in text or "a128" in text) is (count == 5)


async def test_only_ascii_and_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = DragstripApp(FakeSource(second=150, change=swept()), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        for key, wanted in (("k", "A64"), ("t", "> conc 128"), ("o", "A thin")):
            await pilot.press(key)
            text = (await settled(pilot)).replace(">conc", "> conc")
            assert text.isascii()
            assert wanted in text
        colours = {
            s.style.color.name
            for strip in app.screen._compositor.render_strips()
            for s in strip
            if s.style is not None and s.style.color
        }
        assert colours <= {"default"}


def test_a_point_beaten_on_both_axes_is_small_and_dim_and_the_one_in_force_strong() -> None:
    view = swept(4)(FakeSource(second=150).view(30))
    rows = sweep_rows(view, curve(view.ledger), GLYPHS[0], (118, 30))
    spans = [span for row in rows for span in row]
    assert {role for text, role in spans if "A64◂" in text} == {"a strong"}
    assert not any("beaten" in text for text, _ in spans)
    view = swept()(FakeSource(second=150).view(30))
    spans = [span for row in sweep_rows(view, curve(view.ledger), GLYPHS[0], (118, 30)) for span in row]
    assert {role for text, role in spans if "a128" in text} == {"muted"}
    assert any("beaten on both axes" in text for text, _ in spans)


def test_close_points_never_write_over_one_another() -> None:
    view = swept()(FakeSource(second=150).view(30))
    near = [replace(row, figures=dict.fromkeys(row.figures, view.ledger[0].figures["a"])) for row in view.ledger]
    rows = sweep_rows(view, curve(near), GLYPHS[0], (78, 16))
    letters = [ch for ch in plain(rows[:-1]).replace("ms", "") if ch in "abAB"]
    assert len(letters) == 1


def test_wide_spans_of_latency_are_logarithmic_and_narrow_ones_begin_near_their_least() -> None:
    view = swept()(FakeSource(second=150).view(30))
    below = plain(sweep_rows(view, curve(view.ledger), GLYPHS[0], (118, 30))[-2:-1])
    assert [word for word in below.split() if word != "ms"] == ["50", "100", "200", "500", "1,000"]
    few = swept(2)(view)
    below = plain(sweep_rows(few, curve(few.ledger), GLYPHS[0], (118, 30))[-2:-1])
    assert below.split()[0] == "20"
    assert below.split()[-1] == "ms"


def test_without_a_curve_it_says_what_it_needs() -> None:
    view = FakeSource(second=150).view(30)
    assert sweep_title(None) == "Output tok/s against TTFT"
    for width in (30, 58, 78):
        text = plain(sweep_rows(view, None, GLYPHS[0], (width, 16)))
        assert " ".join(text.split()) == NO_CURVE, width
