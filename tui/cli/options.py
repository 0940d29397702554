"""The flags that several commands share: which servers, which load, and where a session is recorded."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tui.cli.console import confirmed
from tui.model.dials import ARRIVALS, AS_IN_FILE, SYNTHETIC, TrafficKind, check
from tui.model.profile import PATHS, LaneProfile, LoadProfile, Profile, parse_limits
from tui.model.session import SessionInfo
from tui.model.text import UserError, sanitize
from tui.net.http import base_url
from tui.profile.config import UserConfig
from tui.profile.reading import expand, read_profile, user_folder

if TYPE_CHECKING:
    from tui.recording.recorder import Recorder
    from tui.session.load_limits import LoadLimits

# flag → (the dial, its type, help); spelled as other load generators do
DIAL_FLAGS = {
    "--max-concurrency": ("concurrency", int, "streams kept busy in a closed loop"),
    "--request-rate": ("request_rate", float, "requests per second, independent of the answers"),
    "--random-input-len": ("prompt_tokens", int, "tokens per prompt"),
    "--random-output-len": ("output_tokens", int, "tokens per answer"),
    "--shared-prefix": ("shared_prefix", float, "share of each prompt that all prompts have in common, 0 to 0.95"),
    "--temperature": ("temperature", float, "sampling temperature"),
    "--trace-speed": ("speed", float, "times the clock of a traffic file with --arrival trace, 0.1 to 16"),
    "--think": ("think", float, "times the pauses of conversations, 0 to 4"),
}


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def target_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", nargs="?", help="a profile's name or TOML file; `dragstrip profiles` lists them")
    servers = parser.add_argument_group("servers")
    servers.add_argument("--a", metavar="URL", help="lane A's server, instead of a profile")
    servers.add_argument("--b", metavar="URL", help="lane B's server; without it there is one lane")
    servers.add_argument("--model", type=_sent_text, help="model to request from both servers")
    servers.add_argument("--api-key-env", metavar="VARIABLE", help="environment variable that holds the API key")
    servers.add_argument("--waive", action="append", metavar="KEY", help="accept this difference between the servers")
    load_flags(parser)


def _sent_text(argument: str) -> str:
    """An argument as UTF-8: where the locale has none, Python hands its bytes over as surrogates."""
    return os.fsencode(argument).decode("utf-8", "replace")


def load_flags(parser: argparse.ArgumentParser) -> None:
    load = parser.add_argument_group("load")
    for flag, (_, kind, text) in DIAL_FLAGS.items():
        load.add_argument(flag, type=kind, metavar="N", help=text)
    load.add_argument("--endpoint", choices=PATHS, help="API endpoint of both servers; generate: the engine's own")
    load.add_argument(
        "--usage",
        choices=("each", "end"),
        help="token usage reporting: per chunk or at the end (default: end, unless chunks hold several tokens)",
    )
    load.add_argument("--data", metavar="FILE", help="play this file of prompts, a trace or conversations")
    load.add_argument("--data-form", metavar="FORM", help="its form, where its first record does not tell")
    load.add_argument("--arrival", choices=ARRIVALS, help="arrival process (default with --request-rate: poisson)")
    load.add_argument("--seed", type=int, metavar="N", help="seed of the request list")
    read_help = "seconds without a byte after which a request fails (default 60)"
    load.add_argument("--read-timeout", type=float, metavar="S", help=read_help)
    load.add_argument("--alternate", action="store_true", help="the lanes take turns: for engines that share a GPU")


def recording_flags(parser: argparse.ArgumentParser) -> None:
    recording = parser.add_argument_group("recording")
    recording.add_argument(
        "--goodput", nargs="+", metavar="LIMIT", help="limits in ms: ttft:500 tpot:30, or a preset"
    )
    recording.add_argument("--no-record", action="store_true", help="write nothing to disk")
    recording.add_argument("--out", metavar="DIR", help="folder for recordings (default: the user's data directory)")


def session_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", help="a folder, a name that `dragstrip sessions` lists, or the beginning of one")


def file_flags(parser: argparse.ArgumentParser, metavar: str, where: str) -> None:
    """Where a command writes."""
    parser.add_argument("--to", metavar=metavar, help=where)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def profile_from(args: argparse.Namespace) -> Profile:
    """The profile that the flags describe. UserError when they contradict each other."""
    if args.api_key_env and args.api_key_env not in os.environ:
        raise UserError(
            f"the variable {args.api_key_env} is not set: export it with the key, or leave --api-key-env out"
        )
    profile = _base_profile(args)
    waive = [*profile.waive, *(args.waive or [])]
    if waive:
        from tui.judge.comparable import check_waived

        check_waived(waive)
    goodput = getattr(args, "goodput", None)  # not a flag of `doctor` and `calibrate`
    profile = _with_data(args, profile)
    return msgspec.structs.replace(
        profile,
        a=_lane(args, profile.a),
        b=_lane(args, profile.b) if profile.b is not None else None,
        load=_load(args, profile),
        slo=parse_limits(" ".join(goodput), profile.slo) if goodput else profile.slo,
        mode="alternate" if args.alternate else profile.mode,
        waive=waive,
    )


def _base_profile(args: argparse.Namespace) -> Profile:
    """The profile as its file or the URLs give it."""
    if args.profile and args.a:
        raise UserError("give a profile or --a URL, not both")
    if args.b and not args.a:
        raise UserError("--b needs --a: lane A comes first")
    for url in filter(None, (args.a, args.b)):
        base_url(url)  # refuses an impossible one before a screen waits for its answer
    if args.profile:
        return read_profile(args.profile)
    if args.a:
        return Profile(name="urls", a=LaneProfile(url=args.a), b=LaneProfile(url=args.b) if args.b else None)
    raise UserError("name a profile or give --a URL --b URL; `dragstrip profiles` lists the profiles")


def _lane(args: argparse.Namespace, lane: LaneProfile) -> LaneProfile:
    flags = {"model": args.model, "api_key_env": args.api_key_env, "endpoint": args.endpoint, "usage": args.usage}
    return msgspec.structs.replace(lane, **{name: value for name, value in flags.items() if value})


def _with_data(args: argparse.Namespace, profile: Profile) -> Profile:
    """With the traffic file that is to be played: the dials begin as in the file, and chats go to a chat endpoint.

    The file is read here, so that a wrong one is refused before anything starts.
    """
    given = {name: value for name, value in (("file", args.data), ("form", args.data_form)) if value}
    profile = msgspec.structs.replace(profile, data=msgspec.structs.replace(profile.data, **given))
    if not profile.data.file:
        if args.data_form:
            raise UserError("--data-form needs --data: it names the form of that file")
        return profile
    from tui.traffic.index import index_of

    index = index_of(profile.data)
    load = msgspec.structs.replace(profile.load, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)
    if index.has_times and load.arrival == "closed":
        load = msgspec.structs.replace(load, arrival="trace")
    lanes = {
        lane: _chatting(server, args.endpoint or "") if index.is_chat else server
        for lane, server in profile.lanes.items()
    }
    return msgspec.structs.replace(profile, load=load, **lanes)


def _chatting(lane: LaneProfile, flag: str) -> LaneProfile:
    """The lane with a chat endpoint. UserError where another one is asked for."""
    if (asked := flag or lane.endpoint) not in ("", "chat"):
        raise UserError(f"the traffic file holds messages, which the endpoint {asked} does not take: leave it out")
    return msgspec.structs.replace(lane, endpoint="chat")


def _load(args: argparse.Namespace, profile: Profile) -> LoadProfile:
    load = profile.load
    turned = {
        dial: value
        for flag, (dial, _, _) in DIAL_FLAGS.items()
        if (value := getattr(args, flag[2:].replace("-", "_"))) is not None
    }
    if args.arrival:
        turned["arrival"] = args.arrival
    elif turned.get("request_rate") and load.arrival == "closed":
        turned["arrival"] = "poisson"
    if args.seed is not None:
        turned["seed"] = args.seed
    if args.read_timeout is not None:
        if not args.read_timeout > 0:
            raise UserError(f"--read-timeout must be more than 0 seconds, not {args.read_timeout:g}")
        turned["read_timeout_s"] = args.read_timeout
    changed = msgspec.structs.replace(load, **turned)
    if problem := check(changed, _traffic_kind(profile)):
        raise UserError(problem)
    return changed


def _traffic_kind(profile: Profile) -> TrafficKind:
    if not profile.data.file:
        return SYNTHETIC
    from tui.traffic.index import index_of

    return TrafficKind(file=True, times=index_of(profile.data).has_times)


def limits_of_load() -> LoadLimits:
    """Those of the user's config."""
    from tui.session.load_limits import LoadLimits

    limits = UserConfig.open().config.limits
    return LoadLimits(limits.max_streams, limits.failing_share)


def ask_before_load(profile: Profile, *, yes: bool) -> None:
    """Before the first load on a host that is not this one: others may use it. What was allowed is remembered.

    UserError where nobody can be asked, or the answer is no: a script says --yes.
    """
    from tui.telemetry.processes import is_this_host

    urls = [server.url for server in profile.lanes.values() if server.url and not server.simulate]
    hosts = dict.fromkeys(urlsplit(base_url(url)).hostname or "" for url in urls)
    known = set(_allowed_hosts())
    new = [host for host in hosts if host not in known and not is_this_host(host)]
    if not new:
        return
    named = " and ".join(sanitize(host, 60) for host in new)
    question = f"load {named}? Others may use {'it' if len(new) == 1 else 'them'} too."
    if not yes and not confirmed(question, "--yes allows it, and is asked for once"):
        raise UserError("nothing was sent")
    with suppress(OSError, UserError):  # without a home folder it is asked again
        path = _hosts_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{host}\n" for host in sorted({*known, *new})), encoding="utf-8")


def _allowed_hosts() -> list[str]:
    try:
        return _hosts_path().read_text(encoding="utf-8").split()
    except (OSError, ValueError, UserError):
        return []


def _hosts_path() -> Path:
    return user_folder("data") / "hosts"


def yes_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask before the first load on another host")


def duration_s(text: str) -> float:
    """A duration in seconds. UserError when it is none."""
    if not (match := _DURATION.fullmatch(text.strip())) or float(match[1]) <= 0:
        raise UserError(f"{text} is not a duration: write it like 30s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def recorder_from(args: argparse.Namespace, profile: Profile) -> Callable[[SessionInfo], Recorder] | None:
    """Makes the recorder, or None with --no-record. UserError when the directory cannot be written."""
    if args.no_record:
        return None
    try:
        root = _sessions_root(args, profile)
    except UserError as error:
        raise UserError(f"{error}; or name a directory with --out, or use --no-record") from error
    why = ""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
    if why or not os.access(root, os.W_OK | os.X_OK):
        raise UserError(
            f"{root} cannot be written ({why or 'permission denied'}); "
            "name another directory with --out, or use --no-record"
        )

    def record(info: SessionInfo) -> Recorder:
        from tui.recording.catalog import reserve_folder
        from tui.recording.recorder import Recorder

        return Recorder(reserve_folder(root, info), info)

    return record


def session_argument(args: argparse.Namespace, profile: Profile, name: str) -> str:
    """What a command line takes for the session of that name: its name, or its folder when recorded elsewhere."""
    from tui.recording.catalog import sessions_root

    root = _sessions_root(args, profile)
    with suppress(UserError):  # without a home folder there is only the one named
        if root == sessions_root():
            return shlex.quote(name)
    return shlex.quote(str(root / name))


def session_folder(args: argparse.Namespace, profile: Profile, name: str) -> Path:
    """Where the session of that name is recorded."""
    return _sessions_root(args, profile) / name


def _sessions_root(args: argparse.Namespace, profile: Profile) -> Path:
    from tui.recording.catalog import sessions_root  # the first paint would wait for it

    directory = args.out or profile.record.directory
    return expand(directory) if directory else sessions_root()
