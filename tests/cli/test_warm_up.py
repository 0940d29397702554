"""A warm-up is a session of its own, of which nothing is said twice."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest

from tui.cli.console import Interruption
from tui.cli.run import CollectedRows, Work, announced_after, measure, warm_up_of
from tui.model.profile import Profile
from tui.model.session import LaneInfo

PROFILE = msgspec.convert({"a": {"url": "http://a"}}, Profile)
REFUSED = "/v1/completions refuses the field top_k: it is left out"


class FakeSession:
    """A session of one server, which came back with one more refusal the second time."""

    made = 0

    def __init__(self, profile: Profile, record: object) -> None:
        FakeSession.made += 1
        more = ["it has no list of models"] if FakeSession.made > 1 else []
        self.lanes = {"a": LaneInfo(url="http://a", engine="openai", title="A", adapted=[REFUSED, *more])}
        self.info = type("Info", (), {"lanes": self.lanes})

    data: ClassVar[dict[str, object]] = {}

    def limit(self, limits: object) -> None: ...

    def listen(self, listener: object) -> None: ...

    async def reach(self) -> dict[str, LaneInfo]:
        return self.lanes

    async def start(self, on_second: Callable[[], None]) -> None: ...

    async def ended(self) -> None:
        await asyncio.Event().wait()

    async def played(self) -> None:
        await asyncio.Event().wait()

    async def elapsed(self, for_s: float) -> None: ...

    async def stop(self, ended: str) -> None: ...


async def test_what_is_done_otherwise_for_a_server_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tui.session.live.LiveSession", FakeSession)
    work: Any = Work(1.0, announced=["measuring for 1 s"])
    interruption = Interruption()
    warm = await measure(PROFILE, warm_up_of(work), interruption, CollectedRows())
    await measure(PROFILE, announced_after(warm, work), interruption, CollectedRows())
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("lane A")] == [
        f"lane A: {REFUSED}",
        "lane A: it has no list of models",
    ]
    assert len(lines) == len(set(lines)) == 4
