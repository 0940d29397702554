"""The list of requests, the same in both lanes whatever happened before in either, and the length of its prompts.

From a request's number to the bytes that are sent: a prompt of the right length, in the engine's own body.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from tui.engines.base import Request, Usage
from tui.engines.registry import get_engine
from tui.engines.tokenizer import WORDS
from tui.load.driver import LanePlan
from tui.model.dials import Dials
from tui.model.profile import PATHS
from tui.model.rows import RequestRow
from tui.net.ending import FINISH_REASONS
from tui.net.exchange import request_head
from tui.traffic.playlist import Play, Playlist

BASE_TOKENS = 1 << 18  # drawn once and cut into prompts: drawing 100,000 ids takes 20 ms
UNIQUE_TOKENS = 8  # where a prompt departs from the shared prefix: no prefix cache can match beyond them
SHUFFLED_WORDS = 64  # the same for text prompts, whose words must stay the same ones
COMMON_WORDS = WORDS.split()
FILLER = "the"  # one token in every vocabulary made from English
MAX_FILLERS = 16  # a common word takes at most about nine tokens, letter by letter
TOKENS_PER_FILLER = 16  # aimed at, which leaves room to correct in both directions
MAX_WORDS_A_TOKEN = 2  # a server that counts nonsense is not followed further
MAX_COUNTS = 256
MARK_TOKENS = 4  # by which a block of a trace differs from every other one; the rest of it is a cut of the base


@dataclass(frozen=True, slots=True)
class RequestSpec:
    number: int
    prompt: str | list[int]
    prompt_tokens: int  # as the dial asks
    words: int  # of a text prompt: the first so many common words, in an order of their own
    fillers: int  # of a text prompt: `FILLER` so many times more, beyond the first word, which is always `FILLER`
    output_tokens: int
    seed: int
    messages: Sequence[Any] = ()  # of a chat, in place of the prompt
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the body, as the traffic file has them
    natural: bool = False  # the answer ends by itself
    play: Play | None = None  # where it is in the traffic file


class RequestList:
    """Draws requests by number. `salt` is new each session, so that no server's cache has ever seen a prompt."""

    def __init__(self, *, seed: int, salt: str, output_jitter: float, token_pool: list[int]) -> None:
        self._seed, self._salt, self._jitter = seed, salt, output_jitter
        self._ids = token_pool
        rng = random.Random(f"prompts {seed} {salt}")
        self._base_ids = rng.choices(token_pool, k=BASE_TOKENS) if token_pool else []
        self._base_words = rng.choices(COMMON_WORDS, k=BASE_TOKENS) if not token_pool else []

    def ids(self, number: int, dials: Dials) -> RequestSpec:
        """A prompt of exactly `prompt_tokens` ids: shared prefix, unique start, a cut of the base."""
        rng, base, length = self._rng(number), self._base_ids, dials.prompt_tokens
        common = base[: min(round(dials.shared_prefix * length), max(length - UNIQUE_TOKENS, 0))]
        unique = rng.choices(self._ids, k=min(UNIQUE_TOKENS, length - len(common)))
        rest = length - len(common) - len(unique)
        start = rng.randrange(len(base) - rest)
        return self._spec(number, [*common, *unique, *base[start : start + rest]], rng, dials)

    def text(self, number: int, dials: Dials, words: int, fillers: int) -> RequestSpec:
        """A prompt of the first `words` common words and `fillers` fillers.

        A word without a space before it may cost more: all prompts begin with the same one.
        """
        rng = self._rng(number)
        common = min(round(dials.shared_prefix * (words + fillers)), max(words - UNIQUE_TOKENS, 0))
        unshared = self._base_words[common:words]
        if unshared:
            turn = rng.randrange(len(unshared))
            unshared = unshared[turn:] + unshared[:turn]
            start = unshared[:SHUFFLED_WORDS]
            rng.shuffle(start)
            unshared[: len(start)] = start
        prompt = " ".join([FILLER, *self._base_words[:common], *unshared, *[FILLER] * fillers])
        return self._spec(number, prompt, rng, dials, (words, fillers))

    def blocks(self, number: int, blocks: Sequence[int], block_tokens: int, length: int) -> str | list[int]:
        """A prompt of a trace: equal blocks at its beginning are equal tokens, and nothing else is.

        What no block covers is unique to the request. Text has as many common words as ids would have tokens.
        """
        base: list[int] | list[str] = self._base_ids or self._base_words
        pool: Sequence[int] | Sequence[str] = self._ids or COMMON_WORDS
        parts: list[Any] = []
        for name in (*blocks, f"request {number}"):
            missing = min(length - len(parts), block_tokens if isinstance(name, int) else length)
            if missing <= 0:
                break
            digest = hashlib.blake2b(f"{self._salt} {name}".encode(), digest_size=4 * (MARK_TOKENS + 1)).digest()
            start, *marks = (int.from_bytes(digest[at : at + 4], "little") for at in range(0, len(digest), 4))
            parts += [pool[mark % len(pool)] for mark in marks[:missing]]
            missing -= min(MARK_TOKENS, missing)
            start %= len(base) - min(missing, len(base) - 1)
            parts += base[start : start + missing]
        return parts if self._ids else " ".join(parts)

    def _rng(self, number: int) -> random.Random:
        return random.Random(f"request {self._seed} {self._salt} {number}")

    def _spec(
        self,
        number: int,
        prompt: str | list[int],
        rng: random.Random,
        dials: Dials,
        text: tuple[int, int] = (0, 0),
    ) -> RequestSpec:
        return RequestSpec(
            number, prompt, dials.prompt_tokens, *text, self.output_tokens(number, dials), rng.getrandbits(31)
        )

    def output_tokens(self, number: int, dials: Dials) -> int:
        """As the dial asks, varied by the jitter."""
        factor = random.Random(f"output {self._seed} {number}").uniform(1 - self._jitter, 1 + self._jitter)
        return max(1, round(dials.output_tokens * factor))


@dataclass(slots=True)
class PromptLength:
    """Learns from the server's counts how many words make a prompt of so many tokens.

    The first `words` of the fixed list always cost the same, in whichever order they come: today's tokenizers cut a
    text at its spaces before anything else. So one answer gives the exact cost of that many words, template included,
    and fillers, one token each, make up the rest. Lanes whose servers count in the same way ask for the same words.
    """

    _cost: dict[int, int] = field(default_factory=dict)  # prompt tokens by number of words, without fillers
    _words: dict[int, tuple[int, int]] = field(default_factory=dict)  # (words, fillers) by prompt tokens

    def words_for(self, tokens: int) -> tuple[int, int]:
        """(words, fillers) that come to `tokens` prompt tokens, as far as is known by now."""
        if tokens not in self._words:
            words = self._nearest_words(tokens)
            self._words[tokens] = words, self._fillers(tokens, words)
        return self._words[tokens]

    def learn(self, words: int, fillers: int, prompt_tokens: int) -> None:
        """Take in what the server counted in a prompt of so many words and fillers."""
        cost = prompt_tokens - fillers
        if self._cost.pop(words, None) != cost:
            self._words.clear()  # other lengths may come out better now
        self._cost[words] = cost
        if len(self._cost) > MAX_COUNTS:
            self._cost.pop(next(iter(self._cost)))

    def _nearest_words(self, tokens: int) -> int:
        """Words that leave room for a few fillers."""
        aim = tokens - _target_fillers(tokens)
        if not self._cost:
            return max(aim - 1, 0)
        usable = [words for words, cost in self._cost.items() if 0 <= tokens - cost <= MAX_FILLERS]
        near = min(usable or self._cost, key=lambda words: (abs(self._cost[words] - aim), words))
        if usable:
            return near
        words = near + round((aim - self._cost[near]) / self._tokens_a_word(near))
        return min(max(words, 0), MAX_WORDS_A_TOKEN * tokens)

    def _tokens_a_word(self, near: int) -> float:
        """From the shortest to the longest prompt counted, which cancels the template; with one count, its mean."""
        low, high = min(self._cost), max(self._cost)
        if low == high:
            return max(self._cost[near] / max(near, 1), 1.0)
        return max((self._cost[high] - self._cost[low]) / (high - low), 1 / MAX_WORDS_A_TOKEN)

    def _fillers(self, tokens: int, words: int) -> int:
        if words in self._cost:
            return min(max(tokens - self._cost[words], 0), MAX_FILLERS)
        return _target_fillers(tokens)


def _target_fillers(tokens: int) -> int:
    return min(tokens // TOKENS_PER_FILLER, MAX_FILLERS // 2)


# Below the first, a count in each chunk is not worth its cost. From the second on it is again: that is more than a
# slow front end joins for a while.
MIN_TOKENS_A_CHUNK_TO_KEEP, MIN_TOKENS_A_CHUNK_TO_RESUME = 1.25, 1.5
DECAY = 15 / 16  # of earlier answers at each new one: about 16 are remembered

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class UsageMode:
    """Asks for token usage with each chunk at first; later only where chunks hold several tokens.

    Usage in each chunk is work for the server's front end that no user asks for: it cost vLLM 0.26.0 and SGLang
    0.5.16 several per cent of their tokens/s at 256 streams on an H100. Without it a chunk counts as one token, and
    any excess is added to the answer's last chunk. Where chunks usually hold several tokens (speculative decoding, a
    stream interval), rates and inter-token latencies would be off by that factor until then.
    """

    requested: Literal["", "each", "end"]  # by the operator, and then final
    supported: Usage  # the most that the engine can do
    _tokens: float = 0.0
    _chunks: float = 0.0
    _each: bool = True

    @property
    def usage(self) -> Usage:
        """What the next request asks for."""
        if self.requested:
            return self.requested
        return "each" if self.supported == "each" and self._each else "end"

    def learn(self, tokens: int, chunks: int) -> None:
        self._tokens = DECAY * self._tokens + tokens
        self._chunks = DECAY * self._chunks + chunks
        least = MIN_TOKENS_A_CHUNK_TO_KEEP if self._each else MIN_TOKENS_A_CHUNK_TO_RESUME
        self._each = self._tokens >= least * self._chunks


class RequestBuilder:
    """Builds the requests of one lane. Learns from its answers how long prompts were and how tokens are chunked."""

    def __init__(self, plan: LanePlan) -> None:
        self._plan = plan
        self._engine = get_engine(plan.engine)
        self._token_pool = plan.token_pool if plan.prompt_form == "ids" else []
        self._list = RequestList(
            seed=plan.seed, salt=plan.salt, output_jitter=plan.output_jitter, token_pool=self._token_pool
        )
        self._prompt_length = PromptLength()
        self._usage_mode = UsageMode(plan.usage, self._engine.usage)
        self._head = request_head(plan.url, plan.path or PATHS[plan.endpoint], plan.headers)
        self.position = plan.first_request  # of the next request, or of the next conversation of a traffic file
        self.playlist = Playlist(plan.traffic) if plan.traffic is not None else None
        self.finish_reasons = self._engine.finish_reasons | FINISH_REASONS

    @property
    def count_empty_chunks(self) -> bool:
        """Whether the engine sends an event at each of its steps: those that can count tokens per chunk do."""
        return self._engine.usage == "each"

    def next(self, dials: Dials, context: int = 0, *, pass_over: bool = True) -> RequestSpec | None:
        """The next request of the list; None where the traffic file is through, or its row is too long to be sent.

        `context`: the most tokens that both servers take. `pass_over`: go on to the row after one that is too long.
        """
        if self.playlist is None:
            self.position += 1
            return self.spec(self.position - 1, dials)
        for _ in range(len(self.playlist) if pass_over else 1):
            if self.playlist.is_over(self.position):
                return None
            self.position += 1
            if play := self.playlist.play(self.position - 1, dials, context):
                return self.played(play, dials)
        return None

    def leave_out(self) -> None:
        """A row of a trace that came due is not sent: the rows after it keep their times."""
        if self.playlist is not None:
            self.position += 1
            self.playlist.dropped += 1

    @property
    def is_over(self) -> bool:
        """Whether the traffic file is through."""
        return self.playlist is not None and self.playlist.is_over(self.position)

    def gaps_s(self) -> Iterator[float]:
        """Between the due times of the traffic file, from here on."""
        return iter(()) if self.playlist is None else self.playlist.gaps_s(self.position)

    def played(self, play: Play, dials: Dials) -> RequestSpec:
        """The request of a traffic file's conversation at one of its turns, under these dials."""
        assert self.playlist is not None
        turn, number = play.turn, self.playlist.number(play)
        output_tokens, natural = self.playlist.output_tokens(turn, dials)
        if not natural and dials.output_tokens > 0:
            output_tokens = self._list.output_tokens(number, dials)
        if turn.text or turn.messages or turn.ids or turn.blocks:
            prompt: str | list[int] = ""
            if turn.blocks:
                prompt = self._list.blocks(number, turn.blocks, play.conversation.block_tokens, turn.prompt_tokens)
            elif not turn.messages:
                prompt = turn.ids or self.playlist.text(turn)
            seed = random.Random(f"seed {self._plan.seed} {number}").getrandbits(31)
            spec = RequestSpec(number, prompt, turn.prompt_tokens, 0, 0, output_tokens, seed)
        else:
            spec = self.spec(number, msgspec.structs.replace(dials, prompt_tokens=turn.prompt_tokens))
        messages = play.conversation.messages[: turn.messages]
        fields = play.conversation.fields
        return replace(
            spec, output_tokens=output_tokens, messages=messages, fields=fields, natural=natural, play=play
        )

    def spec(self, number: int, dials: Dials) -> RequestSpec:
        if self._token_pool:
            return self._list.ids(number, dials)
        return self._list.text(number, dials, *self._prompt_length.words_for(dials.prompt_tokens))

    def http_request(self, spec: RequestSpec, dials: Dials) -> bytes:
        request = Request(
            endpoint=self._plan.endpoint,
            model=self._plan.model,
            prompt=spec.prompt,
            output_tokens=spec.output_tokens,
            temperature=dials.temperature,
            seed=spec.seed,
            usage=self._usage_mode.usage,
            messages=spec.messages,
            fields=spec.fields,
            natural=spec.natural,
        )
        body = _encode(self._plan.changes.apply(self._engine.body(request)))
        head = self._head
        if self._plan.session_header and spec.play is not None:
            head = b"%s%s: %d\r\n" % (head, self._plan.session_header.encode(), spec.play.position)
        return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)

    def learn(self, spec: RequestSpec, row: RequestRow) -> None:
        """Take in a complete answer: its prompt count brings the next text prompts closer to their length."""
        self._usage_mode.learn(row.output_tokens, row.chunks)
        if row.prompt_tokens and spec.words and not self._token_pool:
            self._prompt_length.learn(spec.words, spec.fillers, row.prompt_tokens)
