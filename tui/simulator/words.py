"""A tokeniser without a model: a token is a made-up word of three syllables; N such words are N tokens."""

import random
import re
import zlib

VOCABULARY = 32_000
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = [c + v for c in _CONSONANTS for v in _VOWELS]  # 70 of them: three give 343,000 words
_PLACE = {syllable: place for place, syllable in enumerate(_SYLLABLES)}
_PIECES = re.compile(r"\s*(\w+|[^\w\s])")
CHAT_TEMPLATE = tuple(range(VOCABULARY - 7, VOCABULARY))  # what a chat template writes around one message
LETTERS_A_TOKEN = 6  # of a word that is not in the vocabulary


class Words:
    """The words of one answer; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self) -> str:
        """One token's text: lower-case letters after a space, so that JSON needs no escapes."""
        return word(int(self._random.random() * VOCABULARY))


def word(token: int) -> str:
    """The word of a token id, with the space before it."""
    base = len(_SYLLABLES)
    return f" {_SYLLABLES[token // base**2 % base]}{_SYLLABLES[token // base % base]}{_SYLLABLES[token % base]}"


def tokenize(text: str) -> list[int]:
    """Token ids of a text: one for a word of the vocabulary, one for every six letters of any other."""
    tokens: list[int] = []
    for piece in _PIECES.findall(text):
        token = _known(piece)
        if token is not None:
            tokens.append(token)
        else:
            parts = range(0, len(piece), LETTERS_A_TOKEN)
            tokens += [zlib.crc32(piece[i : i + LETTERS_A_TOKEN].encode()) % VOCABULARY for i in parts]
    return tokens


def _known(piece: str) -> int | None:
    if len(piece) != 6:
        return None
    token = 0
    for start in (0, 2, 4):
        place = _PLACE.get(piece[start : start + 2])
        if place is None:
            return None
        token = token * len(_SYLLABLES) + place
    return token if token < VOCABULARY else None
