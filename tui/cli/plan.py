"""`dragstrip plan`: the moves an operator made in a session, as steps of a plan."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.cli.console import print_notice, print_result
from tui.model.dials import DialValue
from tui.model.text import UserError
from tui.profile.reading import parse_profile

if TYPE_CHECKING:
    from tui.judge.sweep import PlannedStep

LEAST_S = 1.0  # shorter than one second of figures
HELP = "the moves made in a session as [[plan]] steps, or as a profile that makes them again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which session."""
    parser.add_argument("session", help="a folder, a name that `dragstrip sessions` lists, or the beginning of one")
    parser.add_argument("--to", metavar="FILE.toml", help="write a whole profile: `dragstrip run FILE.toml --plan`")


def call(args: argparse.Namespace) -> int:
    """Print TOML, or write a profile."""
    from tui.cli.report import save
    from tui.cli.sessions import session_named
    from tui.judge.sweep import plan_of_moves
    from tui.recording.reader import open_session
    from tui.recording.tables import tables_of

    tables = tables_of(open_session(session_named(args.session)))
    steps = held(plan_of_moves(tables))
    if not args.to:
        print_result(plan_toml(steps))
        return 0
    path = Path(args.to)
    if path.suffix != ".toml":
        raise UserError(f"{path} is no profile: a profile's name ends in .toml")
    save(path, profile_toml(tables.session.profile, steps))
    return 0


def profile_toml(profile: Mapping[str, Any], steps: "Sequence[PlannedStep]") -> str:
    """A session's profile with its moves as the plan. UserError when it had none that a profile can hold."""
    import tomli_w

    from tui.recording.info import without_none
    from tui.recording.redact import HIDDEN

    kept = {name: value for name, value in profile.items() if name not in {"plan", "repeat", "delta", "delta_from"}}
    for lane in ("a", "b"):
        if (kept.get(lane) or {}).get("simulate"):
            kept[lane] = {name: value for name, value in kept[lane].items() if name not in {"url", "dcgm"}}
    text = tomli_w.dumps(without_none(kept)) + "\n" + plan_toml(steps) + "\n"
    parse_profile(text, "the recorded profile")
    if HIDDEN in text:
        print_notice(f"dragstrip: what was secret stands as {HIDDEN}: put it in before you run it")
    return text


def held(steps: "Sequence[PlannedStep]") -> "list[PlannedStep]":
    """The steps without those that a hand only passed through: the next one takes their dials and their time."""
    found: list[PlannedStep] = []
    passing: PlannedStep | None = None
    for moved in steps:
        step = moved
        if passing is not None:
            step = replace(moved, dials={**passing.dials, **moved.dials}, for_s=round(passing.for_s + moved.for_s, 1))
        passing = step if step.for_s < LEAST_S else None
        if passing is None:
            found.append(step)
    return found


def plan_toml(steps: "Sequence[PlannedStep]") -> str:
    """The steps as a profile writes them."""
    return "\n\n".join(
        f"[[plan]]\ndials = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in step.dials.items())} }}\n"
        f"for_s = {step.for_s}"
        for step in steps
    )


def _toml(value: DialValue) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
