"""The screen without a session: two URLs to type, and all that one can begin with. It ends in a command line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

import msgspec
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui import __version__
from tui.model.rows import LANES, Lane
from tui.profile.config import Pair, UserConfig
from tui.ui.keys import START_KEYS
from tui.ui.terminal import SIGNALS, painted, speaks_utf8, watch_terminal
from tui.ui.widgets.header import Hints
from tui.ui.widgets.rows import fit, printable
from tui.ui.widgets.theme import PALETTE_BY_NAME, PALETTES, THEME_PREFIX, first_theme, theme_of, to_ascii

REST_S = 0.4  # without a key, before a URL is asked
MAX_TITLE_CELLS = 40
LOW_ROWS = 18


class Seen(msgspec.Struct, frozen=True):
    """What was found out about a server or a pair, in one sentence."""

    text: str = ""
    is_fine: bool = False


class Offer(msgspec.Struct, frozen=True):
    """One thing to begin with: a command line, or a pair that is put into the fields first."""

    title: str
    about: str
    words: tuple[str, ...] = ()
    pair: Pair | None = None


class Offers(msgspec.Struct, frozen=True):
    """What one can begin with of one kind."""

    heading: str
    offers: Sequence[Offer]


HERE, NOT_HERE = "▸ ", "  "
LOOKING = Seen("looking …")


def watch_words(pair: Pair) -> list[str]:
    """The command line that watches this pair."""
    if pair.profile:
        return ["watch", pair.profile]
    flags = {"--a": pair.a, "--b": pair.b, "--model": pair.model, "--api-key-env": pair.api_key_env}
    return ["watch", *(word for flag, value in flags.items() if value for word in (flag, value))]


def _cut(text: str, cells: int) -> str:
    return "".join(part for part, _ in fit([(printable(text), "")], cells))


class StartApp(App[list[str]]):
    """`run()` returns the words of a command line, or None when the operator leaves."""

    CSS = """
    #title { height: 1; padding: 0 1; color: $accent; }
    #servers, #offers { border: round $accent; border-title-color: $foreground; padding: 0 1; }
    #servers { height: auto; }
    #servers Horizontal { height: 1; }
    #servers .lane { width: 8; }
    #servers Input, #servers Input:focus { border: none; height: 1; padding: 0; width: 1fr; background: $background; }
    #servers .seen { height: auto; max-height: 3; padding-left: 8; color: $accent; }
    #servers .seen.-empty { display: none; }
    #servers .seen.-fine { color: ansi_green; }
    #servers .seen.-wrong { color: $warning; }
    #servers #examined { padding-left: 0; max-height: 3; }
    #offers, #offers:focus {
      height: 1fr; background: $background;
      scrollbar-size: 1 1; scrollbar-color: $accent; scrollbar-background: $background;
    }
    #offers > .option-list--option { text-wrap: nowrap; text-overflow: ellipsis; padding: 0; }
    #offers > .option-list--option-disabled { color: $accent; text-style: bold; }
    #offers > .option-list--option-highlighted { color: $foreground; background: $background; text-style: none; }
    #offers:focus > .option-list--option-highlighted { color: $primary; text-style: bold; }
    #hints { height: 1; }
    .-low #title { display: none; }
    .-low #servers .seen { max-height: 2; }
    .-ascii-only #servers, .-ascii-only #offers { border: ascii $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = START_KEYS
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""

    def __init__(
        self,
        find_offers: Callable[[], Sequence[Offers]],
        recognise: Callable[[Lane, Pair], Awaitable[Seen]],
        examine: Callable[[Pair], Awaitable[Seen]],
        user_config: UserConfig,
    ) -> None:
        """`find_offers` is called in a thread; `recognise` and `examine` ask servers, but for no token."""
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.user_config = user_config
        self.ascii_only = not speaks_utf8()
        self.pair = Pair()
        self.seen: dict[Lane, Seen] = {}
        self._find_offers, self._recognise, self._examine = find_offers, recognise, examine
        self._groups: Sequence[Offers] = ()
        self._shown: list[Offer | None] = []  # a row each; None: a heading
        self._rest: dict[Lane, Timer] = {}
        self._here = 0  # the row with the sign
        self._wanted = False  # enter was pressed before the servers had answered
        for palette in PALETTES:
            self.register_theme(theme_of(palette))
        self.theme = first_theme(self.console.color_system, user_config.config.theme)

    def compose(self) -> ComposeResult:
        yield Static(f"dragstrip {__version__}   two LLM servers, head to head", id="title", markup=False)
        with Vertical(id="servers") as servers:
            servers.border_title = "Two servers"
            for lane in LANES:
                with Horizontal():
                    yield Static(f"Lane {lane.upper()}", classes="lane")
                    placeholder = self._sign(self._placeholder(lane))
                    yield Input(id=lane, placeholder=placeholder, max_length=500, select_on_focus=False)
                yield Static("", id=f"{lane}-seen", classes="seen -empty", markup=False)
            yield Static("", id="examined", classes="seen -empty", markup=False)
        offers = OptionList(id="offers", compact=True)
        offers.border_title = "Or begin with"
        yield offers
        yield Hints(id="hints")

    def _placeholder(self, lane: Lane) -> str:
        return "http://127.0.0.1:8000" if lane == "a" else "http://127.0.0.1:30000   may stay empty: one server alone"

    def _sign(self, text: str) -> str:
        return to_ascii(text) if self.ascii_only else text

    def on_mount(self) -> None:
        self.animation_level = "none"
        self.set_class(self.ascii_only, "-ascii-only")
        for field in self.query(Input):
            field.cursor_blink = False  # it would send bytes for nothing
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.exit)
        if not self.is_headless:
            watch_terminal(
                partial(loop.call_soon_threadsafe, self.exit), lambda: getattr(self._driver, "_writer_thread", None)
            )
        self.query_one("#a", Input).focus()
        self._show_hints()
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        painted()
        self.run_worker(self._list_offers(), exit_on_error=True)
        if self.user_config.problem:
            self.notify(self.user_config.problem, markup=False, severity="warning")

    def on_resize(self) -> None:
        self.set_class(self.size.height < LOW_ROWS, "-low")
        self._show_hints()
        self.call_after_refresh(self._fill)

    def on_descendant_focus(self) -> None:
        self._show_hints()

    def _show_hints(self) -> None:
        """A focused field takes every character."""
        typing = isinstance(self.focused, Input)
        keys = [key for key in Binding.make_bindings(START_KEYS) if key.show]
        self.query_one(Hints).show(key for key in keys if not typing or key.key not in {"c", "escape"})

    # What one can begin with.

    async def _list_offers(self) -> None:
        groups = await asyncio.to_thread(self._find_offers)
        self._groups = [group for group in groups if group.offers]
        self._shown = [offer for group in self._groups for offer in (None, *group.offers)]
        self._fill()
        first = next((offer for offer in self._shown if offer is not None), None)
        if first is not None and first.words[:1] != ("demo",) and not self._typed().a:
            self.query_one(OptionList).focus()  # who has been here before chooses; who has not is asked for a URL

    def _fill(self) -> None:
        """The list, cut to the width that there is: no row wraps."""
        offers = self.query_one(OptionList)
        here = offers.highlighted
        offers.clear_options()
        for group in self._groups:
            offers.add_option(Option(self._sign(group.heading), disabled=True))
            offers.add_options(self._rows(group.offers, offers.size.width - 2))
        offers.highlighted = here if here is not None else next((1 for shown in self._shown if shown), None)

    def _rows(self, offers: Sequence[Offer], cells: int) -> Iterable[Content]:
        most = min(MAX_TITLE_CELLS, cells // 2) if any(offer.about for offer in offers) else cells - 2
        width = min(max(len(offer.title) for offer in offers), most)
        for offer in offers:
            title, about = _cut(offer.title, width), _cut(offer.about, max(cells - width - 4, 0))
            yield Content.assemble(NOT_HERE, self._sign(title), "  ", (self._sign(about), "dim"))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """A sign on the row, because not every terminal has a colour for it."""
        rows, here = event.option_list, event.option_index
        for row in {here, self._here if self._here < rows.option_count else here}:
            prompt = rows.get_option_at_index(row).prompt
            if isinstance(prompt, Content):
                sign = self._sign(HERE) if row == here else NOT_HERE
                rows.replace_option_prompt_at_index(row, Content.assemble(sign, prompt[len(sign) :]))
        self._here = here

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        offer = self._shown[event.option_index]
        if offer is None:
            return
        if offer.pair is None:
            self.exit(list(offer.words))
            return
        self._wanted = False
        self.pair = offer.pair
        for lane, url in (("a", offer.pair.a), ("b", offer.pair.b)):
            field = self.query_one(f"#{lane}", Input)
            field.value, field.cursor_position = url, len(url)
        self.query_one("#a", Input).focus()

    # The servers.

    def on_input_changed(self, event: Input.Changed) -> None:
        lane: Lane = "a" if event.input.id == "a" else "b"
        if event.value.strip() != getattr(self.pair, lane):  # typed, not taken from an offer
            self.pair = msgspec.structs.replace(self._typed(), api_key_env=self.pair.api_key_env)
        self._wanted = False
        self._show_seen(lane, Seen())
        self.workers.cancel_group(self, lane)
        if timer := self._rest.pop(lane, None):
            timer.stop()
        if event.value.strip():
            self._rest[lane] = self.set_timer(REST_S, partial(self._ask, lane))

    def _typed(self) -> Pair:
        a, b = (self.query_one(f"#{lane}", Input).value.strip() for lane in LANES)
        return Pair(a=a, b=b)

    def _ask(self, lane: Lane) -> None:
        self._show_seen(lane, LOOKING)
        self.run_worker(self._recognised(lane), group=lane, exclusive=True)

    async def _recognised(self, lane: Lane) -> None:
        self._show_seen(lane, await self._recognise(lane, self.pair))
        if self._all_fine() and self.pair.b:
            self.run_worker(self._examined(), group="examined", exclusive=True)
        if self._wanted:
            self.action_start()

    async def _examined(self) -> None:
        self._show("examined", LOOKING)
        self._show("examined", await self._examine(self.pair))

    def _show_seen(self, lane: Lane, seen: Seen) -> None:
        self.seen[lane] = seen
        self._show(f"{lane}-seen", seen)
        if not self._all_fine():
            self.workers.cancel_group(self, "examined")
            self._show("examined", Seen())

    def _show(self, name: str, seen: Seen) -> None:
        line = self.query_one(f"#{name}", Static)
        sign = "" if seen is LOOKING else "● " if seen.is_fine else "✖ "
        label = "doctor  " if name == "examined" and seen.text else ""
        line.update(self._sign(f"{label}{sign}{seen.text}") if seen.text else "")
        line.set_class(not seen.text, "-empty")
        line.set_class(seen.is_fine, "-fine")
        line.set_class(bool(seen.text) and not seen.is_fine and seen is not LOOKING, "-wrong")

    def _all_fine(self) -> bool:
        given = [lane for lane in LANES if getattr(self.pair, lane)]
        return bool(given) and all(self.seen.get(lane, Seen()).is_fine for lane in given)

    # The keys.

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "a" and self.pair.a and not self.pair.b and not self._all_fine():
            self.query_one("#b", Input).focus()
        else:
            self.action_start()

    def action_start(self) -> None:
        """Watch what the fields name, now or as soon as it has answered."""
        if not self.pair.a:
            self.notify("Type the URL of lane A, or choose below with the arrows.", markup=False)
            self.query_one("#a", Input).focus()
        elif self._all_fine():
            self.exit(watch_words(self.pair))
        else:
            waits = any(self.seen.get(lane) in {LOOKING, Seen()} for lane in LANES if getattr(self.pair, lane))
            self._wanted = waits
            self.notify(
                "It starts when the servers have answered." if waits else "Both servers must answer first.",
                markup=False,
            )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Within the list the arrows are the list's, but for the one that leads out of it."""
        offers = self.query_one_optional(OptionList)
        if action != "move" or offers is None or not offers.has_focus:
            return True
        return parameters == (-1,) and offers.highlighted in {None, 1}

    def action_move(self, way: int) -> None:
        """Through the fields into the list, before a key that was typed next arrives at the field."""
        stops = [self.query_one("#a"), self.query_one("#b"), self.query_one(OptionList)]
        here = stops.index(self.focused) if self.focused in stops else 0
        self.screen.set_focus(stops[min(max(here + way, 0), len(stops) - 1)])  # `focus()` would wait its turn

    def action_fields(self) -> None:
        self.query_one("#a", Input).focus()

    def action_colours(self) -> None:
        names = [palette.name for palette in PALETTES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        label = PALETTE_BY_NAME[self.theme].label
        problem = self.user_config.keep(theme=self.theme.removeprefix(THEME_PREFIX))
        self.notify(problem or f"colours: {label}", markup=False)

    def action_leave(self) -> None:
        self.exit()
