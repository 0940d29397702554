"""What makes two servers incomparable: their settings side by side."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tui.model.settings import ENGINE_SETTING, ENGINE_SETTINGS, EngineSetting, Severity
from tui.model.text import UserError


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting in which the lanes differ."""

    key: str
    label: str
    a: object
    b: object
    effect: str  # on the result
    severity: Severity
    waived: bool = False
    words: str = ""  # said instead of both values

    @property
    def sentence(self) -> str:
        """`KV tokens differ (1,048,576 against 65,536)`."""
        if self.words:
            return self.words
        verb = "differ" if self.label.endswith("s") else "differs"
        return f"{self.label} {verb} ({format_value(self.a, self.key)} against {format_value(self.b, self.key)})"


def differences(
    a: Mapping[str, object],
    b: Mapping[str, object],
    *,
    streams: int | None = None,
    waived: Collection[str] = (),
) -> list[Difference]:
    """The settings in which `a` and `b` differ, the most serious first. Keys are those of `model.settings`.

    A key that is missing on one side makes no difference: it is not known to be one. With the load's number of
    `streams`, a limit that neither reaches is a note. UserError when `waived` holds a key that does not exist.
    """
    check_waived(waived)
    differing = [
        Difference(
            term.key,
            term.label,
            a[term.key],
            b[term.key],
            term.effect,
            _severity(term, a[term.key], b[term.key], streams),
            term.key in waived,
        )
        for term in ENGINE_SETTINGS
        if term.key in a and term.key in b and not same_setting(term, a, b)
    ]
    return sorted(differing, key=lambda difference: difference.severity)


def check_waived(names: Iterable[str]) -> None:
    """UserError when one of these is no key of `model.settings`."""
    for name in names:
        if name not in ENGINE_SETTING:
            near = difflib.get_close_matches(name, ENGINE_SETTING, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(ENGINE_SETTING)}"
            raise UserError(f"nothing is called {name} to waive; {hint}")


def shared_gpus(gpus: Iterable[int], *, waived: Collection[str] = ()) -> Difference:
    """Both lanes' engines at work on the same GPUs at the same time."""
    term, which = ENGINE_SETTING["shared_gpu"], ", ".join(map(str, sorted(gpus)))
    return Difference(
        term.key, term.label, which, which, term.effect, term.severity, term.key in waived,
        words=f'both use GPU {which} at once: set mode = "alternate"',
    )  # fmt: skip


def grave(differing: Iterable[Difference]) -> list[Difference]:
    """Those that make the lanes incomparable and are not waived."""
    return [difference for difference in differing if difference.severity == "incomparable" and not difference.waived]


def reason(differing: Iterable[Difference]) -> str:
    """`not comparable because …`, or an empty string."""
    sentences = [difference.sentence for difference in grave(differing)]
    return f"not comparable because {' and '.join(sentences)}" if sentences else ""


def same_setting(term: EngineSetting, a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Whether a setting that both know is the same in both, or close enough."""
    left, right = a[term.key], b[term.key]
    if left == right:
        return True
    if term.key == "model":
        return a.get("weights") is not None and a.get("weights") == b.get("weights")
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= term.tolerance * max(abs(left), abs(right))
    return False


def format_value(value: object, key: str = "") -> str:
    """A setting as people read it."""
    if key == "seed":
        return str(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _severity(term: EngineSetting, left: object, right: object, streams: int | None) -> Severity:
    if term.per_stream and streams is not None and isinstance(left, int) and isinstance(right, int):
        return "note" if streams <= min(left, right) else term.severity
    return term.severity
