"""Servers that answer from a table, with what real ones were seen to answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tui.model.profile import LaneProfile

CAPTURED = Path(__file__).parent / "captured"
Answers = Mapping[str, "bytes | dict[str, Any] | httpx.Response"]


def captured(name: str) -> bytes:
    """The bytes that a real server sent."""
    return (CAPTURED / name).read_bytes()


class Site(httpx.MockTransport):
    """Answers by method and path; everything else is 404. `asked` lists the requests in order."""

    def __init__(self, answers: Answers, server: str = "uvicorn") -> None:
        self.asked: list[httpx.Request] = []
        self._answers = answers
        self._server = server
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.get(f"{request.method} {request.url.path}", httpx.Response(404, json={"detail": "no"}))
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        content = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        kind = "application/json" if content[:1] in b"{[" else "text/plain"
        return httpx.Response(200, headers={"server": self._server, "content-type": kind}, content=content)

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.url.path for request in self.asked]


TOKENS = {"count": 6, "tokens": [1, 30, 20, 20, 10, 2]}
METRICS = b"vllm:num_requests_running 0\n"

VLLM: Answers = {
    "GET /v1/models": captured("vllm-0.32.0-models.json"),
    "GET /version": {"version": "0.32.0"},
    "GET /metrics": METRICS,
    "POST /tokenize": TOKENS,
}
SGLANG: Answers = {
    "GET /v1/models": captured("sglang-0.5.23-models.json"),
    "GET /server_info": {"version": "0.5.23", "tp_size": 1},
    "GET /metrics": b"sglang:num_running_reqs 0\n",
    "POST /tokenize": TOKENS,
}
LLAMACPP: Answers = {
    "GET /v1/models": captured("llamacpp-models.json"),
    "GET /props": captured("llamacpp-props.json"),
    "GET /metrics": b"llamacpp:requests_processing 0\n",
    "POST /tokenize": {"tokens": [1, 30, 20, 10, 2]},
}


def lane(url: str = "http://engine.test", **keys: object) -> LaneProfile:
    """A lane of a profile with these keys."""
    return msgspec.convert({"url": url} | keys, LaneProfile)


def listing(*models: str, owner: str = "somebody", **more: Any) -> dict[str, Any]:
    """A /v1/models answer."""
    return {
        "object": "list",
        "data": [{"id": model, "object": "model", "owned_by": owner} | more for model in models],
    }
