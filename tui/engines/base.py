"""What an engine file declares: data, and the few functions that really differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tui.model.profile import Endpoint

PromptForm = Literal["ids", "text"]
Usage = Literal["each", "end"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as the load wants it; an engine turns it into a body."""

    endpoint: Endpoint
    model: str
    prompt: str | list[int]
    output_tokens: int
    temperature: float
    seed: int
    usage: Usage = "each"  # how often the answer is to say how many tokens it has brought, where the engine can


@dataclass(frozen=True, slots=True)
class Selector:
    """Picks samples of one exposed metric: every label in `where` must have one of the values given.

    `label` reads the value out of that label instead of the sample; `times` multiplies it by another label.
    `scale` turns it into our unit. The samples of `plus`, another metric, are added when they are there, and it is
    multiplied by those of `by`, which must be there.
    """

    metric: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label: str = ""
    times: str = ""
    scale: float = 1.0
    plus: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """One server kind."""

    kind: str
    title: str
    owned_by: tuple[str, ...]  # in /v1/models
    endpoint: Endpoint  # the one that measures it best
    prompt_form: PromptForm
    body: Callable[[Ask], dict[str, Any]]
    metrics_path: str = ""  # empty: it has none
    metrics_hint: str = ""  # how to turn them on
    loads_path: str = ""  # JSON that stands in for metrics that are off
    gauges: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)  # by `records.gauges` name, best first
    mean_of: frozenset[str] = frozenset()  # gauges that are averaged over ranks; the others are summed
    rank_labels: tuple[str, ...] = ()  # of series that differ only in these, each tells the same: the lowest counts
    tokenize_path: str = ""
    cheap_health: str = ""  # an endpoint that costs no generation
    reset_path: str = ""  # a POST to it empties the prefix cache; with {slot} in it, to that of every slot
    reset_needs: str = ""  # when it has that endpoint
    usage: Usage = "end"  # the most it does: count its tokens in each chunk, or only at the end of an answer
    refresh_s: float = 0.0  # its gauges are renewed only so often, whenever they are read
    generates: bool = False  # it answers `generate` as well
    kv_preallocated: bool = False  # it takes its whole KV pool when it starts
