"""Doctor's table and sentence, from examinations made up and from one of a server that answers."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import msgspec
import pytest

from tests.launcher.fake_engine import Handler
from tui.doctor.checks import DoctorReport, Host, Row, examine, report, setting_differences, text
from tui.doctor.examine import LaneCheck, examine_lane, quick_check
from tui.doctor.openai_client import answer_differences, client_answer
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import StreamedAnswer
from tui.judge.comparable import reason
from tui.model.profile import LaneProfile, Profile
from tui.model.session import LaneInfo
from tui.model.text import UserError

QUIET = Host(cores=16, load=0.5, files=20_000)


def examined(lane: str, **more: object) -> LaneCheck:
    engine = "vllm" if lane == "a" else "sglang"
    settings = {
        "engine": engine,
        "version": "0",
        "model": "m",
        "weights": "w",
        "max_model_len": 8192,
        "kv_tokens": 65_536,
        "prefix_cache": True,
        "max_running": 256,
    }
    info = LaneInfo(url=f"http://{lane}:1", engine=engine, title=engine, model="m")
    one = LaneCheck(
        "a" if lane == "a" else "b",
        info.url,
        server=DetectedServer(info, [1], f"{info.url}/metrics", ""),
        response_ms=3.0,
        settings=settings,
        tokens_served=5_000,
        answer=StreamedAnswer(4, "text", 70, 4, "length"),
        prompt_tokens=70,
    )
    for name, value in more.items():
        setattr(one, name, value)
    return one


def profile(**more: object) -> Profile:
    lanes = {"a": {"url": "http://a:1"}, "b": {"url": "http://b:1"}}
    return msgspec.convert(lanes | more, Profile)


def row(told: DoctorReport, label: str) -> Row:
    return next(row for row in told.rows if row.label == label)


def test_two_alike_are_comparable() -> None:
    told = report(profile(), [examined("a"), examined("b")], QUIET)
    assert told.comparable
    assert told.sentence == "comparable: no obstacle found"
    assert not [row for row in told.rows if row.mark != "same"]


def test_a_difference_is_marked_explained_and_the_sentence() -> None:
    other = {
        "engine": "sglang",
        "version": "0",
        "model": "m",
        "weights": "w",
        "max_model_len": 8192,
        "kv_tokens": 32_768,
        "prefix_cache": True,
    }
    told = report(profile(), [examined("a"), examined("b", settings=other)], QUIET)
    assert not told.comparable
    assert told.sentence == "not comparable because KV tokens differ (65,536 against 32,768)"
    kv = row(told, "KV tokens")
    assert (kv.values, kv.mark) == (("65,536", "32,768"), "wrong")
    assert kv.lines == (
        "the smaller pool queues and preempts first",
        "A like B: --num-gpu-blocks-override 2048",
        "B like A: --max-total-tokens 65536",
        "or accept it: --waive kv_tokens",
    )
    assert row(told, "batch limit").mark == "unknown"


def test_a_waived_difference_is_no_obstacle_and_stays_in_the_sentence() -> None:
    other = {
        "engine": "sglang",
        "version": "0",
        "model": "m",
        "weights": "w",
        "max_model_len": 8192,
        "kv_tokens": 32_768,
        "prefix_cache": True,
        "max_running": 256,
    }
    told = report(profile(waive=["kv_tokens"]), [examined("a"), examined("b", settings=other)], QUIET)
    assert told.comparable
    assert told.sentence == "comparable: no obstacle found; waived: KV tokens"
    assert "(waived)" in row(told, "KV tokens").lines[0]


def test_the_same_prompt_counted_otherwise_is_incomparable() -> None:
    told = report(profile(), [examined("a"), examined("b", prompt_tokens=77)], QUIET)
    assert told.sentence == "not comparable because token count differs (70 against 77)"


def test_one_gpu_for_both_at_once_is_wrong_and_in_turns_is_not() -> None:
    both = [examined(lane, gpus={0: "H100"}, on_this_host=True) for lane in "ab"]
    told = report(profile(), both, QUIET)
    assert told.sentence == 'not comparable because both use GPU 0 at once: set mode = "alternate"'
    assert row(told, "GPU numbers").mark == "wrong"
    accepted = report(profile(waive=["shared_gpu"]), both, QUIET)
    assert accepted.sentence == "comparable: no obstacle found; waived: shared GPU"
    assert report(profile(mode="alternate"), both, QUIET).comparable
    split = [examined(lane, gpus={0: "H100 MIG"}, on_this_host=True) for lane in "ab"]
    assert report(profile(), split, QUIET).comparable
    exporters = [examined(lane, gpus={0: "H100"}, on_this_host=True, dcgm=f"{lane}:9400") for lane in "ab"]
    assert report(profile(), exporters, QUIET).comparable
    remote = [examined(lane, gpus={0: "H100"}, dcgm="far:9400") for lane in "ab"]
    assert "both use GPU 0" in report(profile(), remote, QUIET).sentence
    elsewhere = [examined("a", gpus={0: "H100"}, on_this_host=True), examined("b", gpus={0: "H100"})]
    assert report(profile(), elsewhere, QUIET).comparable


def test_other_gpus_are_other_hardware() -> None:
    told = report(profile(), [examined("a", gpus={0: "H100", 1: "H100"}), examined("b", gpus={0: "H100"})], QUIET)
    assert told.sentence == "not comparable because GPUs differ (2 × H100 against 1 × H100)"


def test_gpus_beyond_what_the_engine_uses_are_to_be_left_out() -> None:
    lanes = [examined(lane, gpus={0: "H100", 1: "H100"}) for lane in "ab"]
    lanes[0].settings = {"engine": "vllm", "version": "0", "model": "m", "weights": "w", "tensor_parallel": 1}
    told = row(report(profile(), lanes, QUIET), "GPU numbers")
    assert told.lines == ("lane A uses 1 of these 2: name them with gpus = [...]",)


def test_a_load_that_does_not_fit_is_told() -> None:
    told = report(profile(load={"prompt_tokens": 8000, "output_tokens": 256}), [examined("a"), examined("b")], QUIET)
    assert "longer than the context of 8,192" in told.sentence
    told = report(profile(load={"concurrency": 256}), [examined("a"), examined("b")], QUIET)
    assert row(told, "load").mark == "note"
    assert "256 streams of this length need more than 65,536 KV tokens" in row(told, "load").lines[0]


def test_a_busy_host_few_files_cold_servers_and_missing_usage_are_told() -> None:
    cold = examined("a", tokens_served=12.0, answer=StreamedAnswer(4, "text", 70, None, "length"))
    told = report(profile(), [cold, examined("b", tokens_served=None)], Host(cores=2, load=1.9, files=100))
    assert row(told, "served so far").values == ("12 tokens, cold", "?")
    assert row(told, "streams usage").values == ("no", "yes")
    assert row(told, "load of this host").mark == "note"
    assert row(told, "open files").lines == ("this load may need 136: raise it with ulimit -n 136",)
    assert told.sentence.startswith("not comparable yet: this load may need 136")


def test_a_lane_that_cannot_be_measured_is_the_answer() -> None:
    dead = LaneCheck("b", "http://b:1", error="nobody answers at http://b:1")
    told = report(profile(), [examined("a"), dead], QUIET)
    assert told.sentence == "lane B cannot be measured: nobody answers at http://b:1"
    assert row(told, "answers").values == ("in 3 ms", "no")
    both = report(profile(), [LaneCheck("a", "x", error="no"), dead], QUIET)
    assert both.sentence == "lane A cannot be measured: no"


def test_a_simulated_engine_says_so() -> None:
    simulated = examined("a")
    assert simulated.server is not None
    info = msgspec.structs.replace(simulated.server.info, simulated=True, title="vLLM", version="0.32.0")
    simulated.server = DetectedServer(info, [], "", "")
    assert row(report(profile(), [simulated, examined("b")], QUIET), "engine").values[0] == "SIMULATED vLLM 0.32.0"


def test_the_table_is_plain_text_with_marks() -> None:
    other = {
        "engine": "sglang",
        "version": "0",
        "model": "m",
        "weights": "w",
        "max_model_len": 8192,
        "kv_tokens": 32_768,
        "prefix_cache": True,
    }
    lines = text(report(profile(), [examined("a"), examined("b", settings=other)], QUIET)).splitlines()
    assert lines[0].split() == ["lane", "A", "B"]
    assert any(line.startswith("! KV tokens") and line.endswith("32,768") for line in lines)
    assert any(line.startswith("? batch limit") for line in lines)
    assert lines[-1].startswith("not comparable because")
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (StreamedAnswer(9, "text", 70, 4, "length"), ""),
        (StreamedAnswer(9, "text", 70, 3, "stop"), "different output tokens, different finish reason"),
        (StreamedAnswer(9, "other", 70, 4, "length"), "different text"),
    ],
)
def test_the_official_clients_answer_against_ours(theirs: StreamedAnswer, words: str) -> None:
    assert answer_differences(theirs, StreamedAnswer(4, "text", 70, 4, "length")) == words


async def test_an_official_client_that_fails_says_why(address: str) -> None:
    server = await detect_lane(LaneProfile(url=address))
    missing = DetectedServer(msgspec.structs.replace(server.info, endpoint="chat"), [], "", "")
    with pytest.raises(UserError, match="the openai client fails: Error code: 404"):
        await client_answer(missing, "hello")


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


async def test_a_server_is_examined_with_our_reader_and_with_the_official_client(address: str) -> None:
    told = await examine_lane("a", msgspec.convert({"url": f"http://me:secret@{address}/v1"}, type(profile().a)))
    assert told.error == ""
    assert told.url == f"http://{address}"
    assert (told.prompt_tokens, told.client_note, told.on_this_host) == (5, "", True)
    assert told.settings
    assert told.tokens_served is None  # it has no metrics


async def test_a_glance_generates_nothing_and_counts_a_prompt_by_the_servers_own_tokenizer() -> None:
    asked: list[str] = []

    class Tokenizing(Handler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send("application/json", '{"tokens": [5, 6, 7, 8, 9]}')

    with ThreadingHTTPServer(("127.0.0.1", 0), Tokenizing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lane = msgspec.convert({"url": f"127.0.0.1:{server.server_port}"}, LaneProfile)
        seen = await quick_check("a", lane, await detect_lane(lane))
        server.shutdown()
    assert (seen.prompt_tokens, seen.on_this_host) == (5, True)
    assert set(asked) == {"/tokenize"}
    assert seen.settings
    assert seen.gpus or seen.gpu_note


@pytest.mark.parametrize(
    ("counts", "gpus", "mode", "sentence"),
    [
        ((177, 177), ({}, {}), "together", ""),
        ((177, 178), ({}, {}), "together", ""),  # one of them counts a special token
        ((177, 190), ({}, {}), "together", "not comparable because token count differs (177 against 190)"),
        ((177, None), ({}, {}), "together", ""),
        ((None, None), ({0: "H100"}, {0: "H100"}), "together",
         'not comparable because both use GPU 0 at once: set mode = "alternate"'),
        ((None, None), ({0: "H100"}, {0: "H100"}), "alternate", ""),
        ((None, None), ({0: "H100"}, {1: "A100"}), "together",
         "not comparable because GPUs differ (1 × H100 against 1 × A100)"),
    ],
)  # fmt: skip
async def test_watch_and_run_see_what_doctor_sees(
    monkeypatch: pytest.MonkeyPatch,
    counts: tuple[int | None, int | None],
    gpus: tuple[dict[int, str], dict[int, str]],
    mode: str,
    sentence: str,
) -> None:
    seen = {
        lane: examined(lane, prompt_tokens=counts[i], gpus=gpus[i], on_this_host=True)
        for i, lane in enumerate(("a", "b"))
    }

    async def glanced(lane: str, *_: object) -> LaneCheck:
        return seen[lane]

    monkeypatch.setattr("tui.doctor.checks.quick_check", glanced)
    found = {lane: one.server for lane, one in seen.items() if one.server is not None}
    assert reason(await setting_differences(profile(mode=mode), {"a": found["a"], "b": found["b"]})) == sentence


async def test_one_lane_alone_can_be_examined(address: str) -> None:
    told = await examine(msgspec.convert({"a": {"url": address}}, Profile))
    assert told.sentence == "the server can be measured"
    assert told.comparable


async def test_a_lane_without_a_url_is_refused() -> None:
    with pytest.raises(UserError, match="lane A has no url"):
        await examine(msgspec.convert({"a": {"simulate": "vllm"}}, Profile))
