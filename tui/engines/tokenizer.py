"""Token ids from a server's own tokenizer."""

from typing import Any

from tui.engines.base import Engine
from tui.net.http import Site

# Common words, each a token of its own in large vocabularies; a small vocabulary gives pieces of them.
WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will no more if out so up said what its
about than into them can only other time new some could these two may first then do any like my now over such
our man me even most made after also did many off before must well back through years where much your way down
should because long each just state those people too mister how little world good very year still see own work
men day get here old life both between being under three never know same last another while us might great go
come since against right came take used himself few house use place during without again home around small
however found thought part school high once general upon say every war until always away something fact water
less public put think almost hand enough far took head yet government system better set told nothing night end
why called eyes find going look asked later point knew city next program business group toward young days let
room word side social given present several order national second possible rather per face among form
important often things looked early white large big need four within felt along children saw best church ever
least power development light thing seemed family interest want members others mind country area done turned
although open service certain kind began different problem door help sense means whole matter line human field
paper river mountain garden window table summer winter morning evening letter number machine engine track
signal green yellow orange silver copper
"""


async def tokenize(site: Site, engine: Engine, model: str, text: str) -> list[int]:
    """The ids of `text` without special tokens; empty when the server does not report them."""
    tokenizer = engine.tokenizer
    if tokenizer is None:
        return []
    answer = await site.ask(tokenizer.path, {"model": model, tokenizer.text: text, **tokenizer.options})
    decoded = answer.json() if answer.status == 200 else None
    if isinstance(decoded, dict):
        decoded = decoded.get("tokens", decoded.get("input_ids"))
    tokens: list[Any] = decoded if isinstance(decoded, list) else []
    ids = [token.get("id") if isinstance(token, dict) else token for token in tokens]
    return [token for token in ids if isinstance(token, int)]


async def token_pool(site: Site, engine: Engine, model: str) -> list[int]:
    """Ordinary token ids of this server's vocabulary, sorted; empty when it has no tokenizer to ask.

    The first and the last id are left out: servers without an option against special tokens put some there.
    """
    ids = await tokenize(site, engine, model, " ".join(WORDS.split()))
    return sorted(set(ids[1:-1]))
