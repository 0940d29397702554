"""The scraper: what it emits, when, what it says when it cannot, and captured pages as gauges."""

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest

from tests.telemetry.pages import CAPTURED, answered_by, kind, page
from tui.engines.detect import DetectedServer
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.engines.sglang import read_loads
from tui.model import gauges
from tui.model.rows import GaugeRow
from tui.model.session import LaneInfo
from tui.telemetry.server import ServerScraper

URL = "http://engine.test/metrics"


Handler = Callable[[httpx.Request], httpx.Response]


def detected(kind: str = "vllm", url: str = URL, note: str = "") -> DetectedServer:
    info = LaneInfo(url="http://engine.test", engine=kind, title=kind, model="m")
    return DetectedServer(info, [], url, note, {"Authorization": "Bearer secret"})


class Log:
    """What a scraper reported, in order; `run` ends it after so many reports."""

    def __init__(self) -> None:
        self.rows: list[list[GaugeRow]] = []
        self.reports: list[str] = []
        self._enough = asyncio.Event()
        self._count = 0

    def emit(self, rows: list[GaugeRow]) -> None:
        self.rows.append(rows)
        self.reports.append("rows")
        self._check()

    def fault(self, line: str) -> None:
        self.reports.append(line)
        self._check()

    def _check(self) -> None:
        if len(self.reports) >= self._count:
            self._enough.set()

    async def run(self, handler: Handler, count: int, lane: DetectedServer) -> None:
        self._count = count
        scraper = ServerScraper("a", lane, open_page=answered_by(handler))
        task = asyncio.create_task(scraper.run(self.emit, self.fault, period_s=0.01))
        async with asyncio.timeout(10):
            await self._enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_rows_carry_lane_source_name_and_time() -> None:
    log = Log()
    before = time.monotonic_ns()
    await log.run(lambda _: httpx.Response(200, content=page("vllm-0.32.0-c32.txt")), 1, detected())
    values = {row.name: row.value for row in log.rows[0]}
    assert values[gauges.RUNNING] == 25
    assert {(row.lane, row.source) for row in log.rows[0]} == {("a", gauges.SERVER)}
    assert all(before < row.t_ns < time.monotonic_ns() for row in log.rows[0])


async def test_the_key_goes_with_each_scrape() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, content=b"vllm:num_requests_running 1\n")

    await Log().run(handler, 2, detected())
    assert seen[:2] == ["Bearer secret", "Bearer secret"]


async def test_a_trouble_and_its_end_are_each_reported_once() -> None:
    answers = [httpx.Response(503)] * 3 + [httpx.Response(200, content=b"vllm:num_requests_running 1\n")] * 2
    answers += [httpx.Response(404)] * 3
    log = Log()
    await log.run(lambda _: answers.pop(0) if answers else httpx.Response(500), 6, detected())
    reports = [line.replace(URL, "it") for line in log.reports]
    assert reports[:5] == ["it answers HTTP 503", "rows", "", "rows", "it answers HTTP 404"]
    assert reports[5] == "it answers HTTP 500"


async def test_a_falling_counter_is_passed_on() -> None:
    counts = iter((100, 7))
    log = Log()
    await log.run(
        lambda _: httpx.Response(200, content=b"vllm:generation_tokens_total %d\n" % next(counts, 7)), 2, detected()
    )
    assert [rows[0].value for rows in log.rows[:2]] == [100, 7]


async def test_a_page_of_something_else_and_a_malformed_one() -> None:
    for content, line in (
        (b"<html>hello</html>", "has no metric of vLLM"),
        (b"vllm:num_requests_running many\n", "cannot be read"),
        (b'{"detail": "x"}', "cannot be read"),
    ):
        log = Log()
        await log.run(lambda _, content=content: httpx.Response(200, content=content), 1, detected())  # type: ignore[misc]
        assert line in log.reports[0]


async def test_sglang_without_metrics_gives_its_loads_and_says_so() -> None:
    raw = (CAPTURED / "sglang-0.5.23-loads-c32.json").read_bytes()
    log = Log()
    await log.run(
        lambda _: httpx.Response(200, content=raw),
        2,
        detected("sglang", "http://engine.test/v1/loads", "start it with …"),
    )
    assert log.reports[:2] == ["start it with …", "rows"]
    assert {row.name: row.value for row in log.rows[0]}[gauges.RUNNING] == 32


async def test_nothing_to_scrape_ends_at_once() -> None:
    log = Log()
    await ServerScraper("a", detected(url="", note="Ollama exposes no metrics")).run(log.emit, log.fault)
    assert log.reports == ["Ollama exposes no metrics"]


def read(name: str) -> dict[str, float]:
    return gauges_from(get_engine(kind(name)), page(name))


def test_vllm_under_load() -> None:
    values = read("vllm-0.32.0-c32.txt")
    assert values[gauges.RUNNING] == 25
    assert values[gauges.KV_USAGE] == pytest.approx(0.0061042608)
    assert values[gauges.KV_POOL_TOKENS] == 1_048_576
    assert values[gauges.KV_BYTES] == 1 << 30
    assert (values[gauges.PREFIX_HITS], values[gauges.PREFIX_QUERIES]) == (0, 52_861)
    assert values[gauges.GENERATION_TOKENS] == 96_615
    assert values[gauges.GENERATION_TOKENS_FINISHED] == 92_560


def test_sglang_under_load_counts_first_tokens_with_the_decoded_ones() -> None:
    values = read("sglang-0.5.23-c32.txt")
    assert values[gauges.GENERATION_TOKENS] == 56_783 + 1 + 408
    assert values[gauges.GENERATION_TOKENS_FINISHED] == 8 + 52_224
    assert values[gauges.KV_USAGE] == pytest.approx(0.09649658)
    assert (values[gauges.PREFIX_HITS], values[gauges.PREFIX_QUERIES]) == (18_053, 31_786)
    assert values[gauges.WEIGHTS_BYTES] == pytest.approx(0.024700164794921875 * 2**30)


def test_queued_requests_are_waiting_on_both() -> None:
    for name in ("vllm-0.32.0-c16-queue.txt", "sglang-0.5.23-c16-queue.txt"):
        values = read(name)
        assert (values[gauges.RUNNING], values[gauges.WAITING]) == (4, 12), name


def test_sglang_0_5_20_has_the_same_gauges() -> None:
    assert read("sglang-0.5.20-c8.txt").keys() == read("sglang-0.5.23-c32.txt").keys()


def test_llamacpp_prompt_tokens_hold_the_cached_ones() -> None:
    values = read("llamacpp-c16.txt")
    assert values[gauges.PROMPT_TOKENS] == 21_428 + 35_674
    assert values[gauges.PREFIX_HITS] == 35_674
    assert gauges.GENERATION_TOKENS not in values  # its counter rises only when a request ends


def test_old_names_stand_in_for_new_ones() -> None:
    raw = (
        b'vllm:gpu_cache_usage_perc{engine="0"} 0.5\nvllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1\n'
    )
    assert gauges_from(get_engine("vllm"), raw) == {gauges.KV_USAGE: 0.5, gauges.KV_POOL_TOKENS: 1600}


def test_data_parallel_engines_are_summed_and_their_kv_use_averaged() -> None:
    lines = b'vllm:num_requests_running{engine="%d"} %d\nvllm:kv_cache_usage_perc{engine="%d"} %f\n'
    raw = lines % (0, 3, 0, 0.2) + lines % (1, 4, 1, 0.4)
    values = gauges_from(get_engine("vllm"), raw)
    assert values[gauges.RUNNING] == 7
    assert values[gauges.KV_USAGE] == pytest.approx(0.3)


def test_tensor_parallel_ranks_that_tell_the_same_count_once() -> None:
    line = b'sglang:num_running_reqs{dp_rank="%d",tp_rank="%d",pp_rank="0"} %d\n'
    # Attention data parallelism: rank 1 of the data group starts at tensor rank 2.
    ranks = [(0, 0, 5), (0, 1, 5), (1, 2, 9), (1, 3, 9), (0, 10, 5)]
    assert gauges_from(get_engine("sglang"), b"".join(line % rank for rank in ranks))[gauges.RUNNING] == 14


def test_nan_and_none_are_no_reading() -> None:
    raw = b'vllm:num_requests_running NaN\nvllm:cache_config_info{kv_cache_memory_bytes="None"} 1\n'
    assert gauges_from(get_engine("vllm"), raw) == {}


def test_loads_stand_in_for_sglangs_metrics() -> None:
    values = read_loads((CAPTURED / "sglang-0.5.23-loads-c32.json").read_bytes())
    assert values[gauges.RUNNING] == 32
    assert values[gauges.KV_USAGE] == pytest.approx(0.1077)
    assert values[gauges.KV_POOL_TOKENS] == 65_536
    assert gauges.GENERATION_TOKENS not in values


def test_loads_of_several_ranks() -> None:
    raw = b'{"loads":[{"num_running_reqs":3,"token_usage":0.2},{"num_running_reqs":4,"token_usage":0.4}]}'
    assert read_loads(raw) == {gauges.RUNNING: 7, gauges.KV_USAGE: pytest.approx(0.3)}


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"loads": {}}', b'{"detail":"Not Found"}'])
def test_other_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        read_loads(raw)
