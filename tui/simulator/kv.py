"""The KV pool: pages that streams hold, and the prefix cache in the pages that nobody holds any more."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


def page_keys(tokens: Sequence[int], page_tokens: int) -> list[int]:
    """One key for each whole page of a prompt; a key stands for the page and everything before it."""
    keys: list[int] = []
    key = 0
    for start in range(0, len(tokens) - page_tokens + 1, page_tokens):
        key = hash((key, *tokens[start : start + page_tokens]))
        keys.append(key)
    return keys


@dataclass(slots=True)
class KvPool:
    """Counts pages; it holds no tensors. A page is private to one stream, shared by several, or cached and free."""

    pages: int
    private: int = 0
    _shared: dict[int, int] = field(default_factory=dict)  # key → streams that hold it
    _cached: OrderedDict[int, None] = field(default_factory=OrderedDict)  # held by nobody, oldest first

    @property
    def held(self) -> int:
        """Pages that running streams need."""
        return self.private + len(self._shared)

    @property
    def cached(self) -> int:
        """Pages that nobody holds and that may still be hit."""
        return len(self._cached)

    @property
    def usage(self) -> float:
        """Share of the pool that running streams hold; cached pages count as free, as both engines say."""
        return self.held / self.pages

    def match(self, keys: Sequence[int]) -> int:
        """How many leading pages are in the cache."""
        for place, key in enumerate(keys):
            if key not in self._shared and key not in self._cached:
                return place
        return len(keys)

    def take(self, pages: int) -> bool:
        """Make `pages` private; drops cached pages, oldest first. False when running streams leave no room."""
        if self.held + pages > self.pages:
            return False
        self.private += pages
        while self.held + len(self._cached) > self.pages:
            self._cached.popitem(last=False)
        return True

    def free(self, pages: int) -> None:
        """Give private pages back."""
        self.private -= pages

    def hold(self, keys: Iterable[int]) -> None:
        """A stream uses these cached or shared pages."""
        for key in keys:
            self._cached.pop(key, None)
            self._shared[key] = self._shared.get(key, 0) + 1

    def share(self, keys: Iterable[int]) -> list[int]:
        """Turn private pages that were just computed into shared ones; returns those that were not known yet."""
        fresh = [key for key in keys if key not in self._shared and key not in self._cached]
        self.private -= len(fresh)
        self.hold(fresh)
        return fresh

    def release(self, keys: Sequence[int]) -> None:
        """A stream no longer uses these pages; those that nobody holds stay in the cache until room is needed.

        Of one prompt the last page is the first to go: without its beginning the rest could not be found.
        """
        for key in reversed(keys):
            self._shared[key] -= 1
            if self._shared[key] == 0:
                del self._shared[key]
                self._cached[key] = None

    def reset_cache(self) -> bool:
        """Empty the prefix cache; False while streams hold pages."""
        if self._shared or self.private:
            return False
        self._cached.clear()
        return True
