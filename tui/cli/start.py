"""`dragstrip` alone on a terminal: the start screen, and what it finds to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.profile.config import Pair, UserConfig
from tui.profile.reading import list_profiles, read_profile

if TYPE_CHECKING:
    from tui.engines.detect import DetectedServer
    from tui.recording.catalog import SessionEntry
    from tui.ui.start_screen import Offer, Offers, Seen

DEMO = "demo"
MAX_SESSIONS = 30


def choose() -> tuple[list[str], int]:
    """Show the start screen; returns the words of the command line that was chosen, or none and the exit code."""
    from tui.ui.terminal import prepare_terminal

    prepare_terminal()

    from tui.ui.start_screen import StartApp

    user_config, servers = UserConfig.open(), Servers()
    app = StartApp(lambda: list(find_offers(user_config)), servers.recognise, servers.examine, user_config)
    return app.run() or [], app.return_code or 0


class Servers:
    """What was found out about the servers that the fields name."""

    def __init__(self) -> None:
        self._detected: dict[Lane, DetectedServer] = {}

    async def recognise(self, lane: Lane, pair: Pair) -> Seen:
        """Which engine and model a lane's server is; no token is generated."""
        from tui.engines.detect import detect_lane
        from tui.ui.start_screen import Seen

        self._detected.pop(lane, None)
        try:
            server = self._detected[lane] = await detect_lane(lane_of(profile_of(pair), lane))
        except UserError as error:
            return Seen(str(error))
        info = server.info
        named = ", ".join(filter(None, (f"{info.title} {info.version}".strip(), info.model)))
        return Seen(f"{named}{'  SIMULATED' if info.simulated else ''}", is_fine=True)

    async def examine(self, pair: Pair) -> Seen:
        """Whether both may be compared, as far as that shows without a request."""
        from tui.doctor.checks import setting_differences
        from tui.judge.comparable import grave, reason
        from tui.ui.start_screen import Seen

        try:
            differing = await setting_differences(profile_of(pair), self._detected)
        except UserError as error:
            return Seen(str(error))
        if grave(differing):
            return Seen(reason(differing))
        labels = ", ".join(difference.label for difference in differing)
        return Seen("comparable" + (f"; they differ in {labels}" if labels else ": no obstacle found"), is_fine=True)


def profile_of(pair: Pair) -> Profile:
    """The profile that the pair names or describes. UserError when there is none any more."""
    if pair.profile:
        return read_profile(pair.profile)

    def lane(url: str) -> LaneProfile:
        return LaneProfile(url=url, model=pair.model, api_key_env=pair.api_key_env)

    return Profile(name="urls", a=lane(pair.a), b=lane(pair.b) if pair.b else None)


def lane_of(profile: Profile, lane: Lane) -> LaneProfile:
    """UserError where the profile has no such lane."""
    if lane not in profile.lanes:
        raise UserError(f"there is no lane {lane.upper()}")
    return profile.lanes[lane]


def find_offers(user_config: UserConfig) -> Iterator[Offers]:
    """Everything that one can begin with, the most recent first."""
    from tui.cli.sessions import shipped_sessions
    from tui.recording.catalog import list_sessions, sessions_root
    from tui.ui.start_screen import Offer, Offers

    recorded: list[SessionEntry] = []
    with suppress(UserError):  # a user without a home folder has recorded none
        recorded = list_sessions(sessions_root())
    running = [entry for entry in recorded if entry.state == "recording"]
    yield Offers("Being recorded now", [_session(entry, "--follow") for entry in running])
    yield Offers("Recent pairs", [offer for pair in user_config.config.pairs if (offer := _pair(pair)) is not None])
    yield Offers("Without a server", [Offer(DEMO, "two simulated engines; needs nothing else", (DEMO,))])
    profiles = [(name, path) for name, path in list_profiles().items() if name != DEMO]
    yield Offers("Profiles", [offer for name, path in profiles if (offer := _profile(name, path)) is not None])
    ended = [entry for entry in recorded if entry not in running][:MAX_SESSIONS]
    yield Offers("Your sessions, to replay", [_session(entry) for entry in ended])
    yield Offers(
        "Sessions that come with dragstrip", [_session(entry) for entry in list_sessions(shipped_sessions())]
    )


def _pair(pair: Pair) -> Offer | None:
    """A pair whose profile is gone cannot be offered."""
    from tui.ui.start_screen import Offer

    if pair.profile:
        try:
            return _named(pair.profile, read_profile(pair.profile), pair.profile)
        except UserError:
            return None
    title = f"{_short(pair.a)} against {_short(pair.b)}" if pair.b else f"{_short(pair.a)} alone"
    key = f"  key in ${pair.api_key_env}" if pair.api_key_env else ""
    return Offer(title, f"{pair.model}{key}", pair=pair)


def _short(url: str) -> str:
    return url.removeprefix("http://").removesuffix("/")


def _profile(name: str, path: Path) -> Offer | None:
    try:
        return _named(name, read_profile(str(path)), name)
    except UserError as error:
        from tui.ui.start_screen import Offer

        return Offer(name, f"cannot be used: {error}", ("watch", name))


def _named(name: str, profile: Profile, title: str) -> Offer:
    """A profile of servers that can be asked goes through the fields, one of simulated ones begins at once."""
    from tui.ui.start_screen import Offer

    urls = {lane: server.url for lane, server in profile.lanes.items()}
    pair = Pair(profile=name, a=urls["a"], b=urls.get("b", ""))
    return Offer(title, profile.sentence, ("watch", name), pair if all(urls.values()) else None)


def _session(entry: SessionEntry, *flags: str) -> Offer:
    from tui.ui.start_screen import Offer
    from tui.ui.widgets.numbers import short_clock, size

    lanes = " against ".join(entry.lanes.values())
    simulated = "  SIMULATED" if entry.simulated else ""
    about = (
        f"{entry.started:%Y-%m-%d %H:%M}  {short_clock(entry.length_s)}  {size(entry.size_bytes)}  {lanes}{simulated}"
    )
    return Offer(entry.name, about, ("replay", str(entry.path), *flags))
