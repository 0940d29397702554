"""The start screen: it recognises what is typed, offers what there is, and ends in a command line."""

import asyncio
from collections.abc import Sequence

import pytest
from textual.widgets import Input, OptionList

from tests.ui.pilots import screen_text, shows
from tui.model.rows import Lane
from tui.profile.config import Pair, UserConfig
from tui.ui import start_screen
from tui.ui.start_screen import Offer, Offers, Seen, StartApp, watch_words

DEMO = Offers("Without a server", [Offer("demo", "two simulated engines", ("demo",))])
OWN = Offers("Your sessions, to replay", [Offer("mine", "01:27  2.1 MB", ("replay", "/x/mine"))])
PAIR = Pair(a="http://x:1", b="http://x:2", model="m", api_key_env="MY_KEY")
RECENT = Offers("Recent pairs", [Offer("x:1 against x:2", "m  key in $MY_KEY", pair=PAIR)])
SIZES = [(80, 24), (120, 40), (200, 50), (60, 20)]


class Servers:
    """Answers as two servers would: whoever's URL holds `down` does not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def recognise(self, lane: Lane, pair: Pair) -> Seen:
        url = getattr(pair, lane)
        self.asked.append(url)
        await self.answers.wait()
        return Seen("nobody answers") if "down" in url else Seen(f"vLLM 0.26.0, model-of-{lane}", is_fine=True)

    async def examine(self, pair: Pair) -> Seen:
        return Seen(f"comparable: {pair.a} and {pair.b}", is_fine=True)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_screen, "REST_S", 0.01)


def start_app(*offers: Offers, servers: Servers | None = None) -> StartApp:
    asked = servers or Servers()
    return StartApp(lambda: offers or (DEMO,), asked.recognise, asked.examine, UserConfig())


async def test_two_typed_urls_are_recognised_compared_and_watched() -> None:
    app = start_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"http://x:1", "down", *"y:2")
        await shows(pilot, "● vLLM 0.26.0, model-of-a")
        await shows(pilot, "● vLLM 0.26.0, model-of-b")
        await shows(pilot, "doctor  ● comparable: http://x:1 and y:2")
        await pilot.press("enter")
    assert app.return_value == ["watch", "--a", "http://x:1", "--b", "y:2"]


async def test_a_url_is_asked_when_the_keys_rest_and_only_the_last_one_counts() -> None:
    servers = Servers()
    servers.answers.clear()
    app = start_app(servers=servers)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"x:1")
        await shows(pilot, "looking")
        await pilot.press(*"down")
        while servers.asked[-1:] != ["x:1down"]:
            await pilot.pause(0.01)
        servers.answers.set()
        await shows(pilot, "✖ nobody answers")
        assert "vLLM" not in screen_text(app)
        await pilot.press("down", "up", "enter", "up", "enter")
        assert app.return_value is None


async def test_enter_before_the_answer_starts_with_the_answer() -> None:
    servers = Servers()
    servers.answers.clear()
    app = start_app(servers=servers)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"x:1", "enter", "enter")
        assert "looking" in screen_text(app)
        servers.answers.set()
        while app.is_running:
            await pilot.pause(0.01)
    assert app.return_value == ["watch", "--a", "x:1"]


async def test_a_recent_pair_goes_through_the_fields_with_its_model_and_the_name_of_its_key() -> None:
    app = start_app(RECENT, DEMO)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "▸ x:1 against x:2")
        while not isinstance(app.focused, OptionList):
            await pilot.pause()
        await pilot.press("enter")
        await shows(pilot, "doctor  ● comparable")
        await pilot.press("enter")
    assert app.return_value == watch_words(PAIR)
    assert app.return_value[-4:] == ["--model", "m", "--api-key-env", "MY_KEY"]


async def test_a_profile_that_is_edited_becomes_a_pair() -> None:
    profile = Offer("mine", "", pair=Pair(profile="mine", a="http://x:1", b="http://x:2"))
    app = start_app(Offers("Profiles", [profile]))
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "▸ mine")
        app.query_one(OptionList).focus()
        await pilot.press("enter")
        await shows(pilot, "doctor")
        assert watch_words(app.pair) == ["watch", "mine"]
        await pilot.press("3")
        await shows(pilot, "comparable: http://x:13 and")
        assert watch_words(app.pair) == ["watch", "--a", "http://x:13", "--b", "http://x:2"]


@pytest.mark.parametrize(("keys", "words"), [((), ["demo"]), (("down",), ["replay", "/x/mine"])])
async def test_the_list_begins_the_demo_or_a_replay(keys: Sequence[str], words: list[str]) -> None:
    app = start_app(DEMO, OWN)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "mine")
        await pilot.press("down", "down", *keys, "enter")
    assert app.return_value == words


async def test_the_arrows_lead_through_the_fields_into_the_list_and_back() -> None:
    app = start_app(DEMO, OWN)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "mine")
        places = []
        for key in ("down", "down", "down", "up", "up", "up"):
            await pilot.press(key)
            places.append(app.focused.id if app.focused else None)
        assert places == ["b", "offers", "offers", "offers", "b", "a"]
        assert isinstance(app.focused, Input)


async def test_q_leaves_from_the_list_and_is_a_letter_in_a_field() -> None:
    app = start_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "demo")
        await pilot.press("q")
        assert app.query_one("#a", Input).value == "q"
        await pilot.press("down", "down", "q")
    assert app.return_value is None
    assert app.return_code == 0


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_fits(size: tuple[int, int]) -> None:
    many = Offers("Profiles", [Offer(f"profile-{n}", "a long sentence about what it is for " * 9) for n in range(9)])
    app = start_app(RECENT, DEMO, many)
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "profile-0")
        lines = screen_text(app).splitlines()
        assert "Lane A" in screen_text(app)
        assert "quit" in lines[-1]
        rows = [line for line in lines if "profile-" in line]
        assert all(line.count("│") == 2 for line in rows)
        assert all(f"profile-{n} " in line for n, line in enumerate(rows))  # none is wrapped


async def test_a_hostile_name_does_not_steer_the_screen() -> None:
    app = start_app(Offers("Your sessions, to replay", [Offer("[red]x\x1b[2J", "[bold]y", ("replay", "x"))]))
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "[red]x[2J")
        assert "[bold]y" in screen_text(app)
