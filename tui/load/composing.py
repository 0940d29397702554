"""From a request of the list to the bytes that are sent: a prompt of the asked length, in the engine's own body."""

from urllib.parse import urlsplit

import msgspec

from tui.engines.base import Ask
from tui.engines.registry import engine
from tui.load.plan import LanePlan
from tui.load.requests import RequestList, Wanted
from tui.records.dials import Dials

MOST_WORDS_A_TOKEN = 2
LEARN_SHARE = 0.5  # how far one answer moves what is known of tokens a word
_encode = msgspec.json.Encoder().encode


class Composer:
    """Composes requests for one lane. Text prompts are corrected by what the server counted."""

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
        self._tokens_a_word = 1.0
        self._around = 0.0  # tokens that a chat template puts around the prompt
        self._seen: tuple[int, int] | None = None  # words and prompt tokens of an answer with another length
        self._head = _head(plan)

    def wanted(self, number: int, dials: Dials) -> Wanted:
        """Request `number` under these dials."""
        if self._ids:
            return self._list.ids(number, dials)
        words = max(1, round((dials.prompt_tokens - self._around) / self._tokens_a_word))
        words = min(words, MOST_WORDS_A_TOKEN * dials.prompt_tokens)  # a server that counts nonsense is not followed
        return self._list.text(number, dials, words)

    def request(self, wanted: Wanted, dials: Dials) -> bytes:
        """The HTTP request."""
        ask = Ask(
            endpoint=self._plan.endpoint,
            model=self._plan.model,
            prompt=wanted.prompt,
            output_tokens=wanted.output_tokens,
            temperature=dials.temperature,
            seed=wanted.seed,
        )
        body = _encode(self._engine.body(ask) | self._plan.extra_body)
        return b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)

    def learn(self, wanted: Wanted, prompt_tokens: int | None) -> None:
        """The server counted a text prompt: the next one comes closer to the length asked for."""
        if self._ids or not prompt_tokens or not wanted.words:
            return
        seen = self._seen
        if seen is not None and abs(seen[0] - wanted.words) > max(8, wanted.words // 4):
            slope = (prompt_tokens - seen[1]) / (wanted.words - seen[0])
            if slope > 0:  # two lengths tell the template's share from the words'
                self._tokens_a_word += LEARN_SHARE * (slope - self._tokens_a_word)
                self._around = max(0.0, prompt_tokens - self._tokens_a_word * wanted.words)
                self._seen = wanted.words, prompt_tokens
                return
        if seen is None:
            self._seen = wanted.words, prompt_tokens
        told = (prompt_tokens - self._around) / wanted.words
        if told > 0:
            self._tokens_a_word += LEARN_SHARE * (told - self._tokens_a_word)


def _head(plan: LanePlan) -> bytes:
    """Request line and headers, but for the length."""
    where = urlsplit(plan.url)
    path = where.path.rstrip("/") + ("/v1/chat/completions" if plan.endpoint == "chat" else "/v1/completions")
    headers = {
        "Host": where.netloc.rpartition("@")[2],
        "User-Agent": "dragstrip",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        **plan.headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")
