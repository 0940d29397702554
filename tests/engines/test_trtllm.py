"""TensorRT-LLM's front end, from what its own libraries print of its fields and formats; none was run."""

import pytest

from tests.engines.sites import Answers, Site, lane, listing
from tests.odd.drive import bare_plan, examined, load
from tests.odd.server import DONE, LAST_CHUNK, Exchange, OddServer, chunk, event, head, serving, whole
from tui.engines.base import Request
from tui.engines.detect import detect_lane
from tui.engines.readings import gauges_from, missing_gauges
from tui.engines.registry import get_engine
from tui.model import gauges
from tui.model.profile import Endpoint

WITH = 'engine_type="pytorch",model_name="m"'
ENDED = f"""\
# TYPE trtllm_request_success_total counter
trtllm_request_success_total{{{WITH},finished_reason="length"}} 3.0
trtllm_prompt_tokens_total{{{WITH}}} 60.0
trtllm_generation_tokens_total{{{WITH}}} 96.0
trtllm_prompt_cached_tokens_total{{{WITH}}} 32.0
"""  # all that return_perf_metrics turns on by itself
ITERATIONS = f"""\
# TYPE trtllm_num_requests_running gauge
trtllm_num_requests_running{{{WITH},pid="31478"}} 3.0
trtllm_num_requests_waiting{{{WITH},pid="31478"}} 1.0
trtllm_kv_cache_utilization{{{WITH},pid="31478"}} 0.25
trtllm_kv_cache_max_blocks{{{WITH},pid="31478"}} 8192.0
trtllm_kv_cache_tokens_per_block{{{WITH},pid="31478"}} 32.0
"""  # with enable_iter_perf_stats as well
BATCH = "".join(f'trtllm_scheduled_batch_size{{{WITH},pid="3148{rank}",rank="{rank}"}} 5.0\n' for rank in range(2))
OLD = """\
# TYPE request_success_total counter
request_success_total{engine_type="undefined",finished_reason="length",model_name="undefined"} 3.0
e2e_request_latency_seconds_count{engine_type="undefined",model_name="undefined"} 3.0
e2e_request_latency_seconds_sum{engine_type="undefined",model_name="undefined"} 4.5
time_to_first_token_seconds_count{engine_type="undefined",model_name="undefined"} 3.0
"""  # 1.0 to 1.2
HINT = "return_perf_metrics: true and enable_iter_perf_stats: true"

USAGE = {
    "prompt_tokens": 20,
    "total_tokens": 22,
    "completion_tokens": 2,
    "prompt_tokens_details": {"cached_tokens": 0},
}
HEAD = {"id": "cmpl-7", "object": "text_completion", "created": 1795847829, "model": "m"}
CHAT_HEAD = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1795847829, "model": "m"}


def text(piece: str, finish: str | None = None) -> bytes:
    choice = {
        "index": 0,
        "text": piece,
        "token_ids": None,
        "logprobs": None,
        "finish_reason": finish,
        "stop_reason": None,
    }
    return event({**HEAD, "choices": [choice | {"avg_decoded_tokens_per_iter": 1.0}], "usage": None})


def delta(finish: str | None = None, **fields: str) -> bytes:
    choice = {"index": 0, "delta": fields} | ({"finish_reason": finish} if finish else {})
    return event({**CHAT_HEAD, "choices": [choice]})


COMPLETION = [text(" one"), text(" two", "length"), event({**HEAD, "choices": [], "usage": USAGE}), DONE]
CHAT = [
    delta(role="assistant").replace(b"\n", b" \n", 1),  # the role's event ends with a space
    delta(content=" one", reasoning_content=""),
    delta("length", content=" two", reasoning_content=""),
    event({**CHAT_HEAD, "choices": [], "usage": USAGE}),
    DONE,
]
TOO_LATE = {"error": {"message": "the executor stopped", "type": "server_error", "code": None, "param": None}}


def server(
    name: str, endpoint: Endpoint, *events: bytes, page: str = ENDED + ITERATIONS, ends: bool = True
) -> OddServer:
    """One that answers with these events; without an end the connection breaks off."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(head(), *map(chunk, events), *([LAST_CHUNK] if ends else []))
        exchange.then = "keep" if ends else "close"

    pages = {
        "/v1/models": whole("200 OK", listing("m", owner="tensorrt_llm")),
        "/prometheus/metrics": whole("200 OK", page, "text/plain; version=0.0.4"),
        "/health": whole("200 OK", b""),
        "/version": whole("200 OK", {"version": "1.3.0"}),
    }
    paths = ("/v1/completions", "/v1/chat/completions")
    return OddServer(9, f"TensorRT-LLM, {name}", answer, pages=pages, paths=paths, lane={"endpoint": endpoint})


@pytest.mark.parametrize(("endpoint", "events"), [("completions", COMPLETION), ("chat", CHAT)])
async def test_its_streams_are_read_as_the_official_client_reads_them(
    endpoint: Endpoint, events: list[bytes]
) -> None:
    report = await examined(server(endpoint, endpoint, *events))
    rows = {row.label: row.values for row in report.rows}
    assert report.comparable, report.sentence
    assert (rows["streams usage"], rows["openai client"], rows["metrics"]) == (("yes",), ("agrees",), ("on",))


@pytest.mark.parametrize(
    ("name", "endpoint", "events", "ends"),
    [
        ("error and [DONE] twice", "completions", [text(" one"), event(TOO_LATE), DONE, DONE], True),
        ("breaks off", "chat", CHAT[:2], False),
    ],
)
async def test_an_error_within_a_stream_is_a_failure(
    name: str, endpoint: Endpoint, events: list[bytes], ends: bool
) -> None:
    odd = server(name, endpoint, *events, ends=ends)
    report = await examined(odd)
    assert not report.comparable
    if ends:
        assert "the executor stopped" in report.sentence


PAGES = {
    "before any request": ("", "none"),
    "return_perf_metrics alone": (ENDED, "in part"),
    "both options": (ENDED + ITERATIONS, "on"),
    "1.0 to 1.2": (OLD, "in part"),
}


@pytest.mark.parametrize("case", PAGES)
async def test_doctor_says_what_its_metrics_need(case: str) -> None:
    page, value = PAGES[case]
    report = await examined(server(case, "completions", *COMPLETION, page=page))
    (row,) = [row for row in report.rows if row.label == "metrics"]
    assert row.values == (value,)
    assert value == "on" or HINT in row.lines[0]


def test_its_gauges_and_what_is_missing() -> None:
    engine = get_engine("trtllm")
    ended = gauges_from(engine, ENDED.encode())
    assert ended == {
        gauges.PREFIX_HITS: 32, gauges.PREFIX_QUERIES: 60, gauges.GENERATION_TOKENS_FINISHED: 96,
        gauges.PROMPT_TOKENS_FINISHED: 60, gauges.REQUESTS_FINISHED: 3,
    }  # fmt: skip
    assert "lack the gauges of running and waiting requests" in missing_gauges(engine, ended)
    values = gauges_from(engine, (ENDED + ITERATIONS).encode())
    assert (values[gauges.RUNNING], values[gauges.WAITING], values[gauges.KV_POOL_TOKENS]) == (3, 1, 262_144)
    assert missing_gauges(engine, values) == ""
    assert gauges_from(engine, (ITERATIONS + BATCH).encode())[gauges.RUNNING] == 5  # live, the same on each rank
    assert gauges_from(engine, OLD.encode()) == {gauges.REQUESTS_FINISHED: 3}


def test_its_names_may_have_a_colon() -> None:
    renamed = ITERATIONS.replace("trtllm_", "trtllm:").encode()
    assert gauges_from(get_engine("trtllm"), renamed) == gauges_from(get_engine("trtllm"), ITERATIONS.encode())


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
async def test_prompts_are_ids_where_the_server_tokenizes(endpoint: Endpoint) -> None:
    old: Answers = {"GET /v1/models": listing("m", owner="tensorrt_llm"), "GET /version": {"version": "1.3"}}
    tokens = {"count": 6, "tokens": [1, 30, 20, 20, 10, 2]}
    site = Site({**old, "POST /_internal/tokenize": tokens})
    detected = await detect_lane(lane(endpoint=endpoint), transport=site)
    assert (detected.info.prompt_form, detected.token_pool) == ("ids", [10, 20, 30])
    (asked,) = [request for request in site.asked if request.method == "POST"]
    assert set(asked.read().decode().split('"')) >= {"model", "prompt"}
    assert b"add_special_tokens" not in asked.read()
    older = await detect_lane(lane(endpoint=endpoint), transport=Site(old))
    assert (older.info.prompt_form, older.token_pool) == ("text", [])


def test_a_chat_takes_ids() -> None:
    body = get_engine("trtllm").body(Request("chat", "m", [5, 6], 8, 0.0, 1))
    assert body["prompt_token_ids"] == [5, 6]
    assert body["messages"]  # required, and not read
    assert "prompt_token_ids" not in get_engine("trtllm").body(Request("completions", "m", [5, 6], 8, 0.0, 1))


async def test_a_chat_that_breaks_off_fails_in_the_load() -> None:
    odd = server("breaks off under load", "chat", *CHAT[:2], ends=False)
    async with serving(odd) as running:
        brought = await load(bare_plan(odd, running), 1)
    assert {row.outcome for row in brought.rows} == {"failed"}
