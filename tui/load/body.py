"""From a request of the list to the bytes that are sent: a prompt of the asked length, in the engine's own body."""

from urllib.parse import urlsplit

import msgspec

from tui.engines.base import Ask
from tui.engines.registry import engine
from tui.load.counting import Counting
from tui.load.fitting import Fitting
from tui.load.plan import LanePlan
from tui.load.requests import RequestList, Wanted
from tui.records.dials import Dials
from tui.records.endpoints import PATHS
from tui.records.rows import RequestRow

_encode = msgspec.json.Encoder().encode


class Composer:
    """Composes requests for one lane, and learns from its answers how long a prompt was and how tokens came."""

    def __init__(self, plan: LanePlan) -> None:
        self._plan = plan
        self._engine = engine(plan.engine)
        self._list = RequestList(
            seed=plan.seed,
            salt=plan.salt,
            output_jitter=plan.output_jitter,
            token_pool=plan.token_pool if plan.prompt_form == "ids" else [],
        )
        self._ids = plan.prompt_form == "ids" and bool(plan.token_pool)
        self._fitting = Fitting()
        self._counting = Counting(plan.usage, self._engine.usage)
        self._head = _head(plan)

    @property
    def steps(self) -> bool:
        """Whether the engine sends an event at each of its steps: those that can count their tokens there do."""
        return self._engine.usage == "each"

    def wanted(self, number: int, dials: Dials) -> Wanted:
        """Request `number` under these dials."""
        if self._ids:
            return self._list.ids(number, dials)
        return self._list.text(number, dials, *self._fitting.fit(dials.prompt_tokens))

    def request(self, wanted: Wanted, dials: Dials) -> bytes:
        """The HTTP request."""
        ask = Ask(
            endpoint=self._plan.endpoint,
            model=self._plan.model,
            prompt=wanted.prompt,
            output_tokens=wanted.output_tokens,
            temperature=dials.temperature,
            seed=wanted.seed,
            usage=self._counting.usage,
        )
        body = _encode(self._engine.body(ask) | self._plan.extra_body)
        return b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)

    def learn(self, wanted: Wanted, row: RequestRow) -> None:
        """An answer is whole: by what it counted the next text prompt comes closer to the length asked for."""
        self._counting.learn(row.output_tokens, row.chunks)
        if row.prompt_tokens and not self._ids:
            self._fitting.learn(wanted.words, wanted.fillers, row.prompt_tokens)


def _head(plan: LanePlan) -> bytes:
    """Request line and headers, but for the length."""
    where = urlsplit(plan.url)
    path = where.path.rstrip("/") + PATHS[plan.endpoint]
    headers = {
        "Host": where.netloc.rpartition("@")[2],
        "User-Agent": "dragstrip",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        **plan.headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")
