"""The command line: bad input gets one clear sentence and exit code 2, and no traceback."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load.faulty_server import always, plain, serving
from tui.cli.main import main


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dragstrip: ")
    assert len(err.splitlines()) == 1, err
    assert not list(Path(os.environ["DRAGSTRIP_HOME"]).glob("sessions/*")), "an empty session was left behind"
    return err


@pytest.fixture(scope="module")
def not_an_engine() -> Iterator[str]:
    """A server that is no engine, in a thread, because the command runs an event loop of its own."""
    ready, port, end = threading.Event(), 0, asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        nonlocal port
        async with serving(always(plain("200 OK", b"<html>hello</html>", "text/html"))) as port:
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(end.set)
    thread.join()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "demmo"], "there is no profile `demmo`; did you mean `demo`?"),
        (["run", "nowhere/x.toml"], "there is no profile file nowhere/x.toml"),
        (["run"], "name a profile or give --a URL --b URL"),
        (["run", "demo", "--a", "http://x"], "give a profile or --a URL, not both"),
        (["run", "--b", "http://x"], "--b needs --a"),
        (["run", "demo", "--for", "soon"], "soon is not a duration"),
        (["run", "demo", "--max-concurrency", "9999"], "concurrency is 9999, but must lie between 0 and 4096"),
        (["run", "demo", "--goodput", "ttfb:3"], "--goodput ttfb:3: this is not a limit; write ttft:500"),
        (["run", "--a", "http://127.0.0.1:9", "--for", "1s"], "nobody answers at http://127.0.0.1:9"),
        (["run", "--a", "ftp://host", "--for", "1s"], "ftp"),
        (["export", "no-such-session"], "there is no session 'no-such-session'"),
        (["watch", "demmo"], "there is no profile `demmo`"),
        (["run", "demo", "--max-concurrency", "0"], "concurrency is 0, so there is no load to measure"),
        (["watsh"], "there is no command `watsh`; did you mean `watch`?"),
        (["nothing-like-it"], "there is no command `nothing-like-it`; `dragstrip --help` lists them"),
        (
            ["import", "result.json"],
            "`dragstrip import` was removed: to compare with another tool's file, export a session",
        ),
        (["import", "--help"], "`dragstrip import` was removed"),
        (["export", "h100-concurent"], "there is no session 'h100-concurent'; did you mean 'h100-concurrent'?"),
        (["export", "h100-sweep", "--from", "5", "--until", "1"], "--from 5 is not before --until 1"),
        (["export", "h100-sweep", "--segment", "99"], "h100-sweep has no segment 99"),
        (["run", "demo", "--api-key-env", "NO_SUCH_KEY"], "the variable NO_SUCH_KEY is not set"),
        (["demo", "--a", "http://x"], "`dragstrip demo` does not take --a"),
        (["run", "demo", "--sweep", "x=1..2"], "or one of concurrency, prompt_tokens, output_tokens"),
        (["run", "old-vs-new", "--plan"], "[[plan]]"),
        (["run", "--concurrency", "8"], "does not take --concurrency: did you mean --max-concurrency?"),
        (["run", "--prompt=64"], "does not take --prompt=64: did you mean --random-input-len?"),
        (["watch", "--usge", "end"], "does not take --usge: did you mean --usage?"),
        (["demo", "--frob"], "`dragstrip demo` does not take --frob: `dragstrip demo --help`"),
        (["demo"], "there is no terminal to draw on; `dragstrip run`"),
        (["watch", "--a", "http://x", "--for", "soon"], "soon is not a duration"),
        (["watch", "--a", "http://x", "--on-hangup", "keep"], "--on-hangup keep needs --for, as --for 30m"),
        (["watch", "--a", "ftp://host"], "give an http:// or https:// URL"),
        (["simulate", "--port", "99999"], "--port is 99999, but must lie between 0 and 65535"),
        (
            ["run", "--max-concurrency", "many"],
            "dragstrip: --max-concurrency takes a whole number, not 'many'; ",
        ),
        (["run", "--request-rate", "fast"], "dragstrip: --request-rate takes a number, not 'fast'; "),
        (["--frob"], "dragstrip: `dragstrip` does not take --frob: `dragstrip --help` lists its flags"),
        (["run", "--for"], "dragstrip: --for: expected one argument; see `dragstrip run --help`\n"),
        (["export"], "dragstrip: the following arguments are required: session; see `dragstrip export --help`"),
        (["simulate", "--speed", "0"], "--speed is 0, but must be above 0"),
        (["simulate", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1:0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_says_what_is_wrong(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence in error_of(arguments, capsys)


def test_a_server_of_another_kind(not_an_engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not_an_engine in error_of(["run", "--a", not_an_engine, "--for", "1s"], capsys)


def test_a_model_that_is_not_listed_is_asked_for_as_named(
    llamacpp_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--a", llamacpp_url, "--model", "other", "--for", "1s", "--random-output-len", "4"]) == 0
    notice = capsys.readouterr().err
    assert "other" in notice
    assert "tiny" in notice


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere; the next test covers a place that is a file"
)
def test_a_directory_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in error_of(["run", "demo", "--out", str(tmp_path / "x")], capsys)


def test_a_place_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    error = error_of(["run", "demo", "--out", str(tmp_path / "file")], capsys)
    assert "cannot be written" in error
    assert "--out" in error


def test_an_error_in_a_profile_names_file_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text('[a]\nurl = "http://h"\n[load]\nconcurency = 3\n')
    assert "mine.toml:4: load.concurency: there is no such key" in error_of(
        ["run", str(tmp_path / "mine.toml")], capsys
    )


def test_alone_it_lists_the_commands_and_where_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Try `dragstrip demo`" in err
    assert "replay" in err


def test_nothing_heavy_is_imported_before_the_first_paint(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tui.cli import main, watch\n"
        "watch.is_dumb = lambda: False\n"
        "watch.require_terminal = lambda _: None\n"
        "watch.run_screen = lambda *_, **__: print({'numpy', 'polars', 'httpx', 'openai'} & set(sys.modules)) or 0\n"
        "main.main(['demo', '--no-record'])\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "set()\n"
