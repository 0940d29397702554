"""Which servers and which load: a profile or URLs, and flags that turn a dial, spelled as the field does."""

import argparse
import os

import msgspec

from tui.model.dials import ARRIVALS, Dials, check
from tui.model.metrics import MLPERF_LIMITS_MS
from tui.model.profile import PATHS, LaneProfile, LoadProfile, Profile, Slo
from tui.model.text import UserError
from tui.net.http import base_url
from tui.profile.reading import read_profile, with_preset

# flag → (the dial, its type, help)
DIAL_FLAGS = {
    "--max-concurrency": ("concurrency", int, "streams kept busy in a closed loop"),
    "--request-rate": ("request_rate", float, "requests a second, whatever the servers do"),
    "--random-input-len": ("prompt_tokens", int, "tokens a prompt"),
    "--random-output-len": ("output_tokens", int, "tokens asked of each answer"),
    "--shared-prefix": ("shared_prefix", float, "share of each prompt that is one common prefix, 0 to 0.95"),
    "--temperature": ("temperature", float, "sampling temperature"),
}
SLO_KEYS = {"ttft": "ttft_ms", "tpot": "tpot_ms", "e2el": "e2e_ms", "e2e": "e2e_ms"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that drives load."""
    servers(parser)
    load(parser)


def servers(parser: argparse.ArgumentParser) -> None:
    """Whom to ask, for what."""
    parser.add_argument("profile", nargs="?", help="a profile's name or TOML file; `dragstrip profiles` lists them")
    parser.add_argument("--a", metavar="URL", help="lane A's server, instead of a profile")
    parser.add_argument("--b", metavar="URL", help="lane B's server; without it there is one lane")
    parser.add_argument("--model", help="the model to ask both servers for")
    parser.add_argument("--api-key-env", metavar="VARIABLE", help="the environment variable that holds the API key")
    parser.add_argument("--waive", action="append", metavar="KEY", help="accept this difference of the two servers")


def load(parser: argparse.ArgumentParser) -> None:
    """How much to ask, how to judge it, and where it is recorded."""
    for flag, (_, kind, text) in DIAL_FLAGS.items():
        parser.add_argument(flag, type=kind, metavar="N", help=text)
    parser.add_argument("--endpoint", choices=PATHS, help="what to ask both servers; generate: the engine's own API")
    parser.add_argument(
        "--usage",
        choices=("each", "end"),
        help="how the server counts tokens; without it at the end, unless its chunks hold several",
    )
    parser.add_argument("--arrival", choices=ARRIVALS, help="how requests come due under a rate (poisson)")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of the request list")
    parser.add_argument("--goodput", nargs="+", metavar="LIMIT", help="limits in ms: ttft:500 tpot:30, or a preset")
    parser.add_argument("--alternate", action="store_true", help="the lanes take turns: for engines that share a GPU")
    parser.add_argument("--no-record", action="store_true", help="write nothing to disk")
    parser.add_argument("--out", metavar="DIR", help="where to record, instead of the user's data directory")


def profile_of(args: argparse.Namespace) -> Profile:
    """The profile that the flags describe. UserError when they contradict each other."""
    if args.api_key_env and args.api_key_env not in os.environ:
        raise UserError(
            f"the variable {args.api_key_env} is not set: export it with the key, or leave --api-key-env out"
        )
    profile = _named(args)
    waive = [*profile.waive, *(args.waive or [])]
    if waive:
        from tui.judge.comparable import check_waived

        check_waived(waive)
    return msgspec.structs.replace(
        profile,
        a=_lane(args, profile.a),
        b=_lane(args, profile.b) if profile.b is not None else None,
        load=_load(args, profile.load),
        slo=_slo(args, profile.slo),
        mode="alternate" if args.alternate else profile.mode,
        waive=waive,
    )


def _named(args: argparse.Namespace) -> Profile:
    """The profile as its file or the URLs have it."""
    if args.profile and args.a:
        raise UserError("give a profile or --a URL, not both")
    if args.b and not args.a:
        raise UserError("--b needs --a: lane A comes first")
    for url in filter(None, (args.a, args.b)):
        base_url(url)  # one that no server can have is told before a screen waits for it to answer
    if args.profile:
        return read_profile(args.profile)
    if args.a:
        return Profile(name="urls", a=LaneProfile(url=args.a), b=LaneProfile(url=args.b) if args.b else None)
    raise UserError("name a profile or give --a URL --b URL; `dragstrip profiles` lists the profiles")


def _lane(args: argparse.Namespace, lane: LaneProfile) -> LaneProfile:
    flags = {"model": args.model, "api_key_env": args.api_key_env, "endpoint": args.endpoint, "usage": args.usage}
    return msgspec.structs.replace(lane, **{name: value for name, value in flags.items() if value})


def _load(args: argparse.Namespace, load: LoadProfile) -> LoadProfile:
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
    changed = msgspec.structs.replace(load, **turned)
    if problem := check(msgspec.convert({n: getattr(changed, n) for n in Dials.__struct_fields__}, Dials)):
        raise UserError(problem)
    return changed


def _slo(args: argparse.Namespace, slo: Slo) -> Slo:
    """The limits of `--goodput`: names with milliseconds, or the name of a preset."""
    if not args.goodput:
        return slo
    limits: dict[str, float] = {}
    for pair in args.goodput:
        if pair in MLPERF_LIMITS_MS:
            slo = with_preset(Slo(preset=pair))
            continue
        name, _, value = pair.partition(":")
        try:
            limits[SLO_KEYS[name]] = float(value)
        except (KeyError, ValueError):
            known = f"{', '.join(SLO_KEYS)}, a colon and ms; or a preset: {', '.join(MLPERF_LIMITS_MS)}"
            raise UserError(f"--goodput {pair}: expected one of {known}") from None
        if not 0 < limits[SLO_KEYS[name]] < float("inf"):
            raise UserError(f"--goodput {pair}: a limit is a number of ms above 0")
    return msgspec.structs.replace(slo, **limits)
