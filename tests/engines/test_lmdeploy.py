"""LMDeploy 0.18.0 under TurboMind, from the bytes that a real one sent (a model of random weights)."""

import json

import pytest

from tests.engines.sites import Answers, Site, captured, lane
from tests.net.test_sse import TRANSCRIPTS
from tests.odd.drive import examined
from tests.odd.server import LAST_CHUNK, Exchange, OddServer, chunk, head, whole
from tests.telemetry.pages import page
from tui.engines.base import Request
from tui.engines.detect import detect_lane
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.engines.settings import read_settings
from tui.model import gauges
from tui.model.profile import PATHS, Endpoint
from tui.net.http import Answer

IDS = [377, 335, 276, 265, 404, 333, 301, 265, 335, 481, 265, 470, 265, 929, 631, 265, 389, 276, 265, 470]
ERRORS = json.loads(captured("lmdeploy-0.18.0-errors.json"))
LMDEPLOY: Answers = {
    "GET /v1/models": captured("lmdeploy-0.18.0-models.json"),
    "GET /health": {"status": "healthy", "message": "TurboMind engine is healthy."},
    "GET /metrics": page("lmdeploy-0.18.0-idle.txt"),
    "POST /v1/encode": captured("lmdeploy-0.18.0-encode.json"),
}


@pytest.mark.parametrize(
    ("endpoint", "form"), [("", "text"), ("completions", "text"), ("chat", "ids"), ("generate", "ids")]
)
async def test_its_prompts_are_ids_where_it_takes_them(endpoint: str, form: str) -> None:
    site = Site(LMDEPLOY)
    server = await detect_lane(lane(endpoint=endpoint) if endpoint else lane(), transport=site)
    assert (server.info.engine, server.info.model, server.info.prompt_form) == ("lmdeploy", "m", form)
    assert server.token_pool == (sorted(set(IDS[1:-1])) if form == "ids" else [])
    assert (server.metrics_url, server.metrics_note) == ("http://engine.test/metrics", "")
    note = (await read_settings(server, transport=site))["note"]
    assert note == "LMDeploy does not report its settings: compare the commands that started both"


def body(endpoint: Endpoint, prompt: str | list[int]) -> dict[str, object]:
    return get_engine("lmdeploy").body(Request(endpoint, "m", prompt, 32, 0.0, 1))


def test_its_bodies_are_those_that_it_answered() -> None:
    sampling = {
        "max_completion_tokens": 32, "temperature": 0.0, "top_p": 1.0, "seed": 1, "top_k": 0, "min_p": 0.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "ignore_eos": True,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert body("completions", "text") == {"model": "m", "prompt": "text", **sampling}
    assert body("chat", IDS) == {"model": "m", "messages": [], "input_ids": IDS, **sampling}
    generate = {"input_ids": IDS, "max_tokens": 32, "temperature": 0.0, "ignore_eos": True, "stream": True}
    assert body("generate", IDS).items() >= generate.items()


@pytest.mark.parametrize("name", ERRORS)
def test_its_errors_are_said_in_its_words(name: str) -> None:
    status, text = ERRORS[name]
    message = Answer(status, "application/json", "uvicorn", text.encode()).error_message()
    decoded = json.loads(text)
    assert message == decoded.get("message", decoded.get("detail"))


def test_its_gauges_under_load_and_after_it() -> None:
    values = gauges_from(get_engine("lmdeploy"), page("lmdeploy-0.18.0-c8.txt"))
    assert (values[gauges.RUNNING], values[gauges.WAITING]) == (8, 0)
    assert values[gauges.KV_USAGE] == pytest.approx(0.02774425)
    assert values[gauges.GENERATION_TOKENS] == 39_306  # rises while requests run
    assert values[gauges.PROMPT_TOKENS_FINISHED] == 556  # does not: eight prompts of 22 tokens are being answered
    after = gauges_from(get_engine("lmdeploy"), page("lmdeploy-0.18.0-after-load.txt"))
    assert (after[gauges.RUNNING], after[gauges.PROMPT_TOKENS_FINISHED]) == (8, 556 + 8 * 22)  # renewed every 10 s


async def answer(exchange: Exchange) -> None:
    endpoint = next(name for name, path in PATHS.items() if exchange.path.endswith(path))
    await exchange.send(head(), chunk((TRANSCRIPTS / f"lmdeploy-0.18.0-{endpoint}.sse").read_bytes()), LAST_CHUNK)


@pytest.mark.parametrize("endpoint", PATHS)
async def test_doctor_lets_it_through(endpoint: Endpoint) -> None:
    pages = {path: whole("200 OK", LMDEPLOY[f"GET {path}"]) for path in ("/v1/models", "/metrics", "/health")}
    odd = OddServer(
        9, f"LMDeploy, {endpoint}", answer, pages=pages, paths=list(PATHS.values()), lane={"endpoint": endpoint}
    )
    report = await examined(odd)
    rows = {row.label: row.values for row in report.rows}
    assert report.comparable, report.sentence
    assert (rows["streams usage"], rows["metrics"]) == (("yes",), ("on",))
    if endpoint != "generate":  # the client asks for completions there, which gave another answer
        assert rows["openai client"] == ("agrees",)
