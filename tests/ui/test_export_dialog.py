"""The Export box, live and in a replay: what, form, size, folder; it writes on when it is closed; what `y` copies."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.ui.fake_replay import FakeReplay
from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import swept
from tests.ui.pilots import SIZE, opened, rested, settled
from tui.export.process import Part, Progressed, Sizes, Written
from tui.model.text import UserError
from tui.ui import export_dialog, terminal
from tui.ui.app import DragstripApp
from tui.ui.export_dialog import FORMS, ExportDialog
from tui.ui.widgets.rows import Rows


class MadeUpProcess:
    """Stands in for the process: writes nothing until `go` is set."""

    made: "MadeUpProcess"

    def __init__(self, session: Path) -> None:
        MadeUpProcess.made = self
        self.session = session
        self.go = asyncio.Event()
        self.asked: list[tuple[Part, str, Path]] = []
        self.problem = ""
        self.closed = False

    async def sizes(self, parts: Sequence[Part]) -> Sizes:
        return Sizes([dict.fromkeys(FORMS, 4100000) for _ in parts], [None, None, 2])

    async def write(self, part: Part, form: str, folder: Path, progress: Callable[[Progressed], None]) -> Written:
        self.asked.append((part, form, folder))
        progress(Progressed("requests", 0.43))
        await self.go.wait()
        if self.problem:
            raise UserError(self.problem)
        return Written(str(folder / f"made.{form}"), 1, 4_000_000)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(export_dialog, "ExportProcess", MadeUpProcess)
    monkeypatch.chdir(tmp_path)
    for name in ("SSH_CONNECTION", "TMUX", "STY", "VTE_VERSION", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)


def session_folder(name: str) -> Path:
    return Path("/sessions") / name


def live_app() -> DragstripApp:
    return DragstripApp(FakeSource(second=150, change=swept()), session_folder=session_folder)


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (120, 40)])
async def test_the_box_tells_what_form_and_size_and_writes(size: tuple[int, int], tmp_path: Path) -> None:
    app = live_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e")
        text = await settled(pilot)
        assert MadeUpProcess.made.session == Path("/sessions/2026-11-23_140207_vllm-vs-sglang")
        assert "whole session 00:02:30" in text
        assert text.count("about 4.1 MB") == len(FORMS)
        await pilot.press("right", "right", "down", "enter")
        text = await settled(pilot)
        assert MadeUpProcess.made.asked == [(Part(segment_at_s=149.0), "html", tmp_path)]
        assert "conc 128" in text
        assert "writing requests" in text
        assert "43%" in text
        await pilot.press("down", "enter")  # while it writes nothing can be chosen
        MadeUpProcess.made.go.set()
        text = await settled(pilot)
        assert "wrote ./made.html" in text
        assert len(MadeUpProcess.made.asked) == 1
        assert list(tmp_path.iterdir()) == []
        await pilot.press("escape")
        await settled(pilot)
        assert MadeUpProcess.made.closed


async def test_the_writing_goes_on_when_the_box_is_closed() -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e", "enter", "escape")
        await settled(pilot)
        process = MadeUpProcess.made
        assert process.asked
        assert not process.closed
        await pilot.press("e")
        assert "43%" in await settled(pilot)
        await pilot.press("escape")
        process.go.set()
        assert "exported to ./made.bundle" in await settled(pilot)
    assert process.closed


async def test_quitting_ends_the_process() -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e", "enter", "escape")
        await settled(pilot)
        await pilot.press("q", "q")
        await settled(pilot)
    assert MadeUpProcess.made.closed


async def test_what_cannot_be_written_is_said_in_the_box() -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e")
        await settled(pilot)
        MadeUpProcess.made.problem = "no room on the disk"
        MadeUpProcess.made.go.set()
        await pilot.press("enter")
        assert "! no room on the disk" in await settled(pilot)


async def test_y_in_the_box_copies_the_command_then_the_path(tmp_path: Path) -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e", "right", "down", "down", "down", "y")
        text = await settled(pilot)
        name = "2026-11-23_140207_vllm-vs-sglang"
        assert app.clipboard == f"dragstrip export {name} --format png --from 120 --until 150"
        assert "copied: the command" in text
        await pilot.press("right", "y")
        await settled(pilot)
        assert app.clipboard == f"dragstrip export {name} --format png --segment 2"
        MadeUpProcess.made.go.set()
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("y")
        await settled(pilot)
        assert app.clipboard == str(tmp_path / "made.png")


async def test_over_ssh_it_says_how_to_fetch_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.7 50022 10.0.0.9 2222")
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    app = live_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.press("e")
        await settled(pilot)
        MadeUpProcess.made.go.set()
        await pilot.press("enter")
        text = await settled(pilot)
        line = f"scp -P 2222 ada@10.0.0.9:{tmp_path / 'made.bundle'} ."
        assert line[:60] in text
        await pilot.press("y")
        await settled(pilot)
        assert app.clipboard == line


async def test_a_click_chooses_a_form_and_a_second_one_writes_it() -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e")
        await settled(pilot)
        assert isinstance(app.screen, ExportDialog)
        rows = app.screen.query_one(Rows)
        place = 4 + list(FORMS).index("csv")
        await pilot.click(rows, offset=(5, place))
        await pilot.click(rows, offset=(5, place), times=2)
        await settled(pilot)
        assert [form for _, form, _ in MadeUpProcess.made.asked] == ["csv"]


async def test_in_a_replay_the_window_is_the_one_marked(tmp_path: Path) -> None:
    app = DragstripApp(
        FakeReplay(), session_argument=lambda _: "'/a session'", session_folder=lambda _: Path("/a session")
    )
    async with opened(app) as pilot:
        await pilot.press("z", "right")
        await rested(pilot)
        await pilot.press("z", "e")
        text = await rested(pilot)
        assert "whole session 00:09:48" in text
        assert "window 02:30 – 02:35" in text
        await pilot.press("right", "y", "enter")
        await settled(pilot)
        assert app.clipboard == "dragstrip export '/a session' --format bundle --from 150 --until 155"
        assert MadeUpProcess.made.asked == [(Part(150.0, 155.0), "bundle", tmp_path)]


async def test_without_a_recording_there_is_nothing_to_export() -> None:
    source = FakeSource(second=150, change=lambda view: replace(view, recording=""))
    app = DragstripApp(source, session_folder=session_folder)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("e")
        assert "nothing is recorded" in await settled(pilot)


async def test_y_copies_the_verdict_and_the_figures_as_markdown() -> None:
    app = live_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("y")
        text = await settled(pilot)
        assert "copied: verdict and figures, as Markdown" in text
        lines = app.clipboard.splitlines()
        assert lines[0].startswith("**")
        assert "| after 00:02:30, last 30 s | A vLLM 0.32.0 | B SGLang 0.5.23 |" in lines
        assert any(line.startswith("| TTFT p50 / p95 / p99 ms | 8") for line in lines)
        assert "| setting | A tok/s | B tok/s | verdict |" in lines
        assert lines[-1].startswith("| conc 128 ")
        assert lines[-1].count("|") == 5


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, ""),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "macOS' Terminal"),
        ({"TERM": "linux"}, "console"),
        ({"STY": "1.pts"}, "GNU screen"),
        ({"VTE_VERSION": "7006"}, "VTE 0.78"),
        ({"VTE_VERSION": "7800"}, ""),
    ],
)
async def test_where_a_terminal_is_known_not_to_take_it_that_is_said(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    problem = terminal.clipboard_problem()
    assert said in problem
    assert bool(said) == bool(problem)


@pytest.mark.parametrize(("answer", "passes"), [("on", True), ("external", False), ("off", False)])
def test_tmux_is_asked_whether_it_passes_it_on(
    answer: str, passes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmux = tmp_path / "tmux"
    tmux.write_text(f"#!/bin/sh\necho {answer}\n")
    tmux.chmod(0o755)
    monkeypatch.setenv("TMUX", "socket,1,0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert (terminal.clipboard_problem() == "") is passes
