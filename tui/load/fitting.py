"""How many words make a text prompt of the asked length, by what the server counted of those before.

The first `words` of a fixed list always cost the same, in whichever order they come: tokenizers of today cut a text
at its spaces before anything else. So one answer tells exactly what that many words cost, template included, and
what is missing is filled with a word that is one token everywhere.
"""

from dataclasses import dataclass, field

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
