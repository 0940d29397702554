"""Where the API of a server may be, given a URL as people type it: a base, a path, or a whole endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from tui.model.profile import API_PATH, PATHS, Endpoint, LaneProfile
from tui.model.text import sanitize
from tui.net.http import base_url

MODELS: Final = "/models"  # behind the path of the API
# What people paste, the longest first, and the endpoint that they mean by it.
_PASTED: Final[Mapping[str, Endpoint | Literal[""]]] = {
    PATHS["chat"].removeprefix(API_PATH): "chat",
    PATHS["completions"].removeprefix(API_PATH): "completions",
    PATHS["generate"]: "generate",
    MODELS: "",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an API may be."""

    base: str  # safe to show, without an end slash
    api_path: str = API_PATH


@dataclass(frozen=True, slots=True)
class TypedUrl:
    """What a URL says: places to look at, the likeliest first."""

    places: tuple[Place, ...]
    query: str  # with its question mark; it may hold a key
    pasted: str  # path of an endpoint that the URL names as a whole; else empty
    endpoint: Endpoint | Literal[""]  # which that is; empty: none that takes a load

    def note(self, place: Place, lane: LaneProfile) -> str:
        """How the URL was read, where that may surprise; else empty."""
        if self.pasted:
            meaning = f"the load goes to {self.endpoint}" if self.endpoint else "it lists the models"
            return f"the URL ends in {self.pasted} ({meaning}): the server is {place.base}"
        if place.api_path != API_PATH and not lane.path:
            return f"the API is at {place.base}{place.api_path}, without {API_PATH}"
        return ""


def read_url(lane: LaneProfile) -> TypedUrl:
    """The URL of a lane, with the path of its API where the profile gives it. UserError for what is no URL."""
    base_url(lane.url)
    text = lane.url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    path = parts.path.rstrip("/")
    pasted = next((ending for ending in _PASTED if path.endswith(ending)), "")
    places = _places(root, path.removesuffix(pasted).rstrip("/"), lane.path, exact=bool(pasted))
    query = f"?{parts.query}" if parts.query else ""
    return TypedUrl(places, query, sanitize(pasted), _PASTED.get(pasted, ""))


def _places(root: str, path: str, wanted: str, *, exact: bool) -> tuple[Place, ...]:
    """`exact`: the path is that of the API, because an endpoint followed it."""
    if wanted:
        api_path = f"/{wanted.strip('/')}".rstrip("/")
        return (Place(root + path.removesuffix(api_path or "/"), api_path),)
    if path.endswith(API_PATH):
        prefix = path.removesuffix(API_PATH).rstrip("/")
        return Place(root + prefix), Place(root + prefix, "")
    usual, as_given = Place(root + path), Place(root + path, "")
    return (as_given, usual) if exact else (usual, as_given)
