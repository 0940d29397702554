"""`dragstrip plan`: the moves an operator made in a session, as steps of a plan."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.cli.output import say
from tui.records.dials import DialValue

if TYPE_CHECKING:
    from tui.analysis.plans import PlannedStep

LEAST_S = 1.0  # shorter than one second of figures
NAME = "plan"
HELP = "the moves made in a session as [[plan]] steps, to put into a profile"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which session."""
    parser.add_argument("session", help="a folder, a name that `dragstrip sessions` lists, or the beginning of one")


def call(args: argparse.Namespace) -> int:
    """Print TOML."""
    from tui.analysis.plans import plan_of_moves
    from tui.recording.analysed import tables_of
    from tui.recording.reader import open_session
    from tui.recording.sessions import resolve

    say(plan_toml(held(plan_of_moves(tables_of(open_session(resolve(args.session)))))))
    return 0


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
