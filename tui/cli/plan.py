"""`dragstrip plan`: the dials an operator turned in a session, as steps of a plan."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tui.cli.console import print_notice, print_result, save_text
from tui.cli.options import file_flags, session_flag
from tui.model.dials import DialValue
from tui.model.profile import Step
from tui.model.text import UserError
from tui.profile.reading import parse_profile

MIN_STEP_S = 1.0  # shorter steps have not a second of figures
HELP = "print the dial changes of a session as [[plan]] steps, or write them as a profile"


def arguments(parser: argparse.ArgumentParser) -> None:
    session_flag(parser)
    file_flags(parser, "FILE.toml", "write a whole profile, for `dragstrip run FILE.toml --plan`; - is stdout")


def call(args: argparse.Namespace) -> int:
    from tui.cli.sessions import session_named
    from tui.judge.sweep import plan_of_moves
    from tui.recording.reader import open_session
    from tui.recording.tape import tables_of

    tables = tables_of(open_session(session_named(args.session)))
    steps = without_passed(plan_of_moves(tables))
    if not args.to:
        print_result(plan_toml(steps))
        return 0
    if args.to == "-":
        print_result(profile_toml(tables.session.profile, steps).rstrip("\n"))
        return 0
    path = Path(args.to)
    if path.suffix != ".toml":
        raise UserError(f"{path} is not a profile file: its name must end in .toml")
    save_text(path, profile_toml(tables.session.profile, steps), overwrite=args.overwrite)
    return 0


def profile_toml(profile: Mapping[str, Any], steps: Sequence[Step]) -> str:
    """A session's profile with these steps as its plan. UserError when that is not a valid profile."""
    import tomli_w

    from tui.model.text import HIDDEN
    from tui.recording.catalog import without_none

    kept = {name: value for name, value in profile.items() if name not in {"plan", "repeat", "delta", "delta_from"}}
    for lane in ("a", "b"):
        if (kept.get(lane) or {}).get("simulate"):
            kept[lane] = {name: value for name, value in kept[lane].items() if name not in {"url", "dcgm"}}
    text = tomli_w.dumps(without_none(kept)) + "\n" + plan_toml(steps) + "\n"
    parse_profile(text, "the recorded profile")
    if HIDDEN in text:
        print_notice(f"dragstrip: secrets are replaced by {HIDDEN}: fill them in before you run it")
    return text


def without_passed(steps: Sequence[Step]) -> list[Step]:
    """Drop steps that a hand only passed through: the next one takes over their dials and their time."""
    held: list[Step] = []
    dials: dict[str, DialValue] = {}
    for_s = 0.0
    for step in steps:
        dials, for_s = dials | step.dials, round(for_s + (step.for_s or 0.0), 1)
        if for_s >= MIN_STEP_S:
            held.append(Step(dials=dials, for_s=for_s))
            dials, for_s = {}, 0.0
    return held


def plan_toml(steps: Sequence[Step]) -> str:
    return "\n\n".join(
        f"[[plan]]\ndials = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in step.dials.items())} }}\n"
        f"for_s = {step.for_s}"
        for step in steps
    )


def _toml(value: DialValue) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
