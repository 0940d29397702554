"""Colours can be read, foreign text stays text, and nothing heavy comes before the first paint."""

import os
import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace
from rich.color import Color

from tests.ui.fake_source import FakeSource
from tests.ui.reading import settled
from tui.model.rows import EventRow
from tui.session.view import ServerView, View
from tui.ui.app import DragstripApp
from tui.ui.terminal import prepare_terminal
from tui.ui.widgets.theme import PALETTES, SHORT_GREYS, Palette, first_theme, style_of

HOSTILE = "[bold red]\x1b[31mhi\x1b]0;title\x07 \u202eevil\u0000 [@click=app.quit]x[/] 模型 " + "y" * 300
HEAVY = ("polars", "plotext", "numpy", "httpx", "aiohttp", "openai", "pynvml")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def hostile(view: View) -> View:
    """Every text that a server, a profile or an operator can put on the screen."""
    lanes = {}
    for name, lane in view.lanes.items():
        assert lane.info is not None
        info = msgspec.structs.replace(
            lane.info, title=HOSTILE, model=HOSTILE, version=HOSTILE, url=f"http://{HOSTILE}"
        )
        lanes[name] = replace(
            lane, info=info, causes={HOSTILE: 3}, failed=3, last_error=HOSTILE, gpus=[], gpu_note=HOSTILE,
            server=ServerView(note=HOSTILE),
        )  # fmt: skip
    down = replace(lanes["b"], state="down", state_text=HOSTILE)
    rows = [EventRow("a", view.t0_ns, "note", name=HOSTILE, old=HOSTILE, new=HOSTILE, text=HOSTILE)]
    return replace(view, title=HOSTILE, lanes={"a": lanes["a"], "b": down}, events=rows, recording_note=HOSTILE)


@pytest.mark.parametrize("size", [(20, 5), (60, 20), (80, 24), (120, 40), (200, 50)])
async def test_hostile_text_is_shown_as_text(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeSource(second=150, change=hostile))
    async with app.run_test(size=size) as pilot:
        text = await settled(pilot)
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x00"}
        assert len(text.splitlines()) == size[1]
        if size[0] >= 80:
            assert "[bold red]hi" in text


@pytest.mark.parametrize("palette", [p for p in PALETTES if p.name != "dragstrip-sixteen"], ids=lambda p: p.label)
def test_every_colour_can_be_read(palette: Palette) -> None:
    for colour in (palette.text, *palette.roles.values()):
        light, dark = sorted((luminance(palette.ground), luminance(colour)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_short_greys_are_the_same_greys() -> None:
    for named, number in SHORT_GREYS.items():
        assert Color.parse(number).get_truecolor().hex == named


def test_few_colours_and_light_grounds_choose_their_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert first_theme("truecolor") == "dragstrip-light"
    assert first_theme("standard") == "dragstrip-sixteen"
    monkeypatch.delenv("COLORFGBG")
    assert first_theme("256") == "dragstrip-dark"


async def test_without_colour_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24)) as pilot:
        assert "A vLLM" in await settled(pilot)
        strips = app.screen._compositor.render_strips()
        colours = {s.style.color.name for strip in strips for s in strip if s.style is not None and s.style.color}
        assert colours <= {"default"}


def test_nothing_heavy_is_imported_with_the_screen() -> None:
    code = "import sys, tui.ui.app; print([m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_over_ssh_fewer_frames_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXTUAL_FPS", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 22 10.0.0.2 22")
    prepare_terminal()
    assert os.environ["TEXTUAL_FPS"] == "15"
    assert os.environ["TEXTUAL_ANIMATIONS"] == "none"


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [
        ({"LANG": "C"}, "False"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "False"),
        ({"LANG": "de_DE.ISO-8859-1"}, "False"),
        ({"LANG": "en_US.UTF-8"}, "True"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "True"),
        ({}, "True"),
    ],
)
def test_a_locale_without_utf8_is_drawn_in_ascii(variables: dict[str, str], speaks: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "LANG" and not name.startswith("LC_")}
    code = "from tui.ui.terminal import speaks_utf8; print(speaks_utf8())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == speaks


async def test_the_source_starts_after_the_first_paint() -> None:
    source = FakeSource()
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "connecting" in await settled(pilot)
        assert source.started


async def test_a_second_repaints_only_rows_that_changed() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        before = (await settled(pilot)).splitlines()
        source.advance()
        after = (await settled(pilot)).splitlines()
        same = [y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old == new]
        assert {1, 2, 11, 22, 23} <= set(same)
        assert before != after


async def test_another_theme_recolours_every_row() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24)) as pilot:
        for palette in PALETTES:
            app.theme = palette.name
            await settled(pilot)
            drawn = {s.style for strip in app.screen._compositor.render_strips() for s in strip if s.text == "A"}
            colour = style_of(palette.name, "a").color
            assert [style.color for style in drawn if style is not None] == [colour]
