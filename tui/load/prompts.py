"""The list of requests: number i is the same in both lanes, whatever has happened before in either.

How many words make a text prompt of the asked length, by what the server counted of those before.

The first `words` of a fixed list always cost the same, in whichever order they come: tokenizers of today cut a text
at its spaces before anything else. So one answer tells exactly what that many words cost, template included, and
what is missing is filled with a word that is one token everywhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tui.engines.probe import WORDS
from tui.model.dials import Dials

BASE_TOKENS = 1 << 18  # drawn once; prompts are cut out of it, because drawing 100,000 ids takes 20 ms
UNIQUE_TOKENS = 8  # at a prompt's own start: no engine's prefix cache can match beyond
SHUFFLED_WORDS = 64  # likewise of a text prompt, whose words must stay the same ones
COMMON_WORDS = WORDS.split()
FILLER = "the"  # one token of every vocabulary that was made from English


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request of the list."""

    number: int
    prompt: str | list[int]
    prompt_tokens: int  # as asked
    words: int  # of a text prompt: so many of the common list, in an order of its own
    fillers: int  # and so many times `FILLER` after its first word, which is always that
    output_tokens: int
    seed: int


class RequestList:
    """Draws requests in order. `salt` is new each session, so that no prompt was ever seen by a server's cache."""

    def __init__(self, *, seed: int, salt: str, output_jitter: float, token_pool: list[int]) -> None:
        self._seed, self._salt, self._jitter = seed, salt, output_jitter
        self._ids = token_pool
        numbers = random.Random(f"prompts {seed} {salt}")
        self._base_ids = numbers.choices(token_pool, k=BASE_TOKENS) if token_pool else []
        self._base_words = numbers.choices(COMMON_WORDS, k=BASE_TOKENS) if not token_pool else []

    def ids(self, number: int, dials: Dials) -> Wanted:
        """Request `number` with a prompt of exactly so many token ids."""
        numbers = self._numbers(number)
        prompt = self._cut(numbers, dials.prompt_tokens, dials.shared_prefix)
        return self._wanted(number, prompt, numbers, dials)

    def text(self, number: int, dials: Dials, words: int, fillers: int) -> Wanted:
        """Request `number` with a prompt of the first `words` common words and `fillers` more.

        A word without a space before it may cost more: the first one is the same in all prompts.
        """
        numbers = self._numbers(number)
        common = min(round(dials.shared_prefix * (words + fillers)), max(words - UNIQUE_TOKENS, 0))
        own = self._base_words[common:words]
        if own:
            turned = numbers.randrange(len(own))
            own = own[turned:] + own[:turned]
            start = own[:SHUFFLED_WORDS]
            numbers.shuffle(start)
            own[: len(start)] = start
        prompt = " ".join([FILLER, *self._base_words[:common], *own, *[FILLER] * fillers])
        return self._wanted(number, prompt, numbers, dials, (words, fillers))

    def _numbers(self, number: int) -> random.Random:
        return random.Random(f"request {self._seed} {self._salt} {number}")

    def _wanted(
        self,
        number: int,
        prompt: str | list[int],
        numbers: random.Random,
        dials: Dials,
        text: tuple[int, int] = (0, 0),
    ) -> Wanted:
        factor = random.Random(f"output {self._seed} {number}").uniform(1 - self._jitter, 1 + self._jitter)
        output_tokens = max(1, round(dials.output_tokens * factor))
        return Wanted(number, prompt, dials.prompt_tokens, *text, output_tokens, numbers.getrandbits(31))

    def _cut(self, numbers: random.Random, length: int, shared: float) -> list[int]:
        """The shared prefix, a unique start, and a cut of the base for the rest."""
        base = self._base_ids
        common = base[: min(round(shared * length), max(length - UNIQUE_TOKENS, 0))]
        unique = numbers.choices(self._ids, k=min(UNIQUE_TOKENS, length - len(common)))
        rest = length - len(common) - len(unique)
        start = numbers.randrange(len(base) - rest)
        return [*common, *unique, *base[start : start + rest]]


MOST_WORDS_A_TOKEN = 2  # a server that counts nonsense is not followed beyond
MOST_FILLERS = 16  # a common word takes at most about nine tokens, letter by letter
FILLER_SHARE = 16  # of a prompt's tokens one in so many is meant to be a filler: room to go either way
COUNTS_KEPT = 256


@dataclass(slots=True)
class Fitting:
    """Learns what words cost on one server. Lanes whose servers count alike ask for the same words."""

    _cost: dict[int, int] = field(default_factory=dict)  # prompt tokens of so many words, without fillers
    _fit: dict[int, tuple[int, int]] = field(default_factory=dict)  # words and fillers by tokens asked for

    def fit(self, tokens: int) -> tuple[int, int]:
        """Words and fillers that come to `tokens` prompt tokens, as far as is known by now."""
        if tokens not in self._fit:
            words = self._near(tokens)
            self._fit[tokens] = words, self._fillers(tokens, words)
        return self._fit[tokens]

    def learn(self, words: int, fillers: int, counted: int) -> None:
        """The server counted `counted` tokens in a prompt of so many words and fillers."""
        cost = counted - fillers
        if self._cost.pop(words, None) != cost:
            self._fit.clear()  # other lengths may come out better now
        self._cost[words] = cost
        if len(self._cost) > COUNTS_KEPT:
            self._cost.pop(next(iter(self._cost)))

    def _near(self, tokens: int) -> int:
        """Words that leave room for a few fillers."""
        aim = tokens - self._meant(tokens)
        good = [words for words, cost in self._cost.items() if 0 <= tokens - cost <= MOST_FILLERS]
        if good:
            return min(good, key=lambda words: (abs(self._cost[words] - aim), words))
        if not self._cost:
            return max(aim - 1, 0)
        near = min(self._cost, key=lambda words: (abs(self._cost[words] - aim), words))
        words = near + round((aim - self._cost[near]) / self._tokens_a_word(near))
        return min(max(words, 0), MOST_WORDS_A_TOKEN * tokens)

    def _tokens_a_word(self, near: int) -> float:
        """Between the shortest and the longest prompt counted, which the template does not touch; of one its mean."""
        low, high = min(self._cost), max(self._cost)
        if low == high:
            return max(self._cost[near] / max(near, 1), 1.0)
        return max((self._cost[high] - self._cost[low]) / (high - low), 1 / MOST_WORDS_A_TOKEN)

    def _fillers(self, tokens: int, words: int) -> int:
        if words in self._cost:
            return min(max(tokens - self._cost[words], 0), MOST_FILLERS)
        return self._meant(tokens)

    @staticmethod
    def _meant(tokens: int) -> int:
        return min(tokens // FILLER_SHARE, MOST_FILLERS // 2)
