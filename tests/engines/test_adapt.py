"""What is done otherwise for a server that refuses the first request."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.engines.sites import lane, listing
from tests.odd.server import DONE, Exchange, OddServer, event, serving, stream, whole
from tui.engines.adapt import probe_and_adapt
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import FailedAnswerError
from tui.model.text import UserError

OUTPUT = event({"choices": [{"delta": {"content": "x"}, "text": "x", "finish_reason": "length"}]})
Refuse = Callable[[Mapping[str, Any], Mapping[str, str]], str | None]  # of a body and the headers: the words


@dataclass
class Picky:
    """Lists one model, and takes POSTs at some paths unless `refuse` has words against them."""

    refuse: Refuse = lambda *_: None
    paths: tuple[str, ...] = ("completions",)
    status: int = 400
    owner: str = "vllm"
    answer: tuple[bytes, ...] = (OUTPUT, DONE)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def _answer(self, exchange: Exchange) -> None:
        self.bodies.append(exchange.fields)
        if (words := self.refuse(exchange.fields, exchange.headers)) is None:
            await stream(*self.answer)(exchange)
        else:
            await exchange.send(whole(f"{self.status} Refused", {"error": {"message": words}}))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL."""
        models = {"/v1/models": whole("200 OK", listing("m", owner=self.owner))}
        paths = [f"/v1/{path}" for path in self.paths]
        async with serving(OddServer(6, "picky", self._answer, pages=models, paths=paths)) as running:
            yield running.url


async def adapted(picky: Picky, **keys: Any) -> DetectedServer:
    async with picky.serving() as url:
        server = await detect_lane(lane(url, **keys))
        return (await probe_and_adapt(server))[0]


def refuses(words: str, *fields: str) -> Refuse:
    """Refuses bodies with one of the fields, in these words."""
    return lambda body, _: next((words.format(field) for field in fields if field in body), None)


async def test_refused_fields_are_left_out_and_it_is_said_once_each() -> None:
    picky = Picky(refuses("no such field: {}", "ignore_eos", "min_p"))
    server = await adapted(picky)
    assert {"ignore_eos", "min_p"}.isdisjoint(picky.bodies[-1])
    assert server.changes.drop == ["ignore_eos", "min_p"]
    assert server.info.adapted == [
        f"/v1/completions refuses the field {name} (no such field: {name}): it is left out"
        for name in ("ignore_eos", "min_p")
    ]


async def test_a_change_that_does_not_help_is_taken_back() -> None:
    """The words name two fields, and the second is the one."""
    picky = Picky(refuses("expected one of seed, top_p; min_p is none", "min_p"))
    server = await adapted(picky)
    assert server.changes.drop == ["min_p"]
    assert {"seed", "top_p"} < set(picky.bodies[-1])


async def test_a_length_goes_by_the_name_that_the_server_wants() -> None:
    picky = Picky(refuses("'{}' is not supported: use 'num_predict' instead", "max_tokens"))
    server = await adapted(picky)
    assert picky.bodies[-1]["num_predict"] == 4
    assert server.info.adapted[0].endswith("it is sent as num_predict")


async def test_what_the_operator_changes_is_sent_in_both_probe_and_load() -> None:
    picky = Picky()
    changed = {
        "extra_body": {"a": {"b": [1, None]}, "seed": 7},
        "drop_fields": ["stream_options.continuous_usage_stats", "top_p"],
        "rename_fields": {"max_tokens": "max_new_tokens"},
    }
    server = await adapted(picky, **changed)
    (body,) = picky.bodies
    assert (body["a"], body["seed"], body["max_new_tokens"]) == ({"b": [1, None]}, 7, 4)
    assert body["stream_options"] == {"include_usage": True}
    assert {"top_p", "max_tokens"}.isdisjoint(body)
    assert server.info.adapted == []


@pytest.mark.parametrize(
    ("owner", "there", "asked"),
    [("vllm", "chat/completions", "completions"), ("x", "completions", "chat/completions")],
)
async def test_the_other_endpoint_is_taken_where_this_one_is_absent(owner: str, there: str, asked: str) -> None:
    server = await adapted(Picky(paths=(there,), owner=owner))
    assert server.request_path == f"/v1/{there}"
    assert server.info.adapted == [f"/v1/{asked} answers HTTP 404: Not Found; the load goes to /v1/{there}"]


async def test_an_endpoint_that_the_operator_chose_is_kept_and_the_other_named() -> None:
    with pytest.raises(UserError, match="HTTP 404: Not Found; try --endpoint chat"):
        await adapted(Picky(paths=("chat/completions",)), endpoint="completions")


async def test_a_key_is_asked_for_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def wants_key(_: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        return f"wrong key {headers.get('authorization', 'none')}"

    picky = Picky(wants_key, ("completions", "chat/completions"), status=401)
    with pytest.raises(UserError, match=r"requires an API key.*api_key_env"):
        await adapted(picky)
    monkeypatch.setenv("ITS_KEY", "sesame-street")
    with pytest.raises(UserError, match=r"refuses the key in \$ITS_KEY") as caught:
        await adapted(picky, api_key_env="ITS_KEY")
    assert "sesame" not in str(caught.value)


async def test_a_key_in_the_words_of_an_adaptation_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_KEY", "sesame-street")
    picky = Picky(refuses("key sesame-street may not use {}", "seed"))
    server = await adapted(picky, api_key_env="ITS_KEY")
    assert server.info.adapted == [
        "/v1/completions refuses the field seed (key (hidden) may not use seed): it is left out"
    ]


async def test_a_server_that_refuses_everything_ends_with_its_words_and_a_way_on() -> None:
    picky = Picky(lambda *_: "seed is out of stock", ("completions", "chat/completions"))
    with pytest.raises(UserError, match="seed is out of stock; leave a field out or rename it with drop_fields"):
        await adapted(picky)
    assert len(picky.bodies) < 10


async def test_a_model_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"HTTP 404.*lists m, not other"):
        await adapted(Picky(lambda *_: "no such model", status=404), model="other")


async def test_what_was_adapted_is_kept_where_the_answer_then_fails() -> None:
    picky = Picky(refuses("no such field: {}", "seed"), answer=(event({"error": "out of memory"}),))
    with pytest.raises(FailedAnswerError, match="out of memory") as caught:
        await adapted(picky)
    assert caught.value.server is not None
    assert caught.value.server.changes.drop == ["seed"]
