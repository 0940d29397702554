"""Fixtures of several folders: recordings go to a folder of the test; a real llama.cpp server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's sessions and profiles."""
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def llamacpp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real llama.cpp server with a tiny model of random weights."""
    if url := os.environ.get("DRAGSTRIP_LLAMACPP_URL"):
        yield url
        return
    pytest.importorskip("xllamacpp", reason="no wheel of llama.cpp's server for this platform")
    from tests.real.tiny_model import write_tiny_model

    model = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.real.llamacpp_server", str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(10)
