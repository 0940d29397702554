"""Doctor's table and sentence, from made-up examinations."""

import msgspec
import pytest

from tui.doctor.checks import DoctorReport, Host, Row, examine, report, setting_differences, text
from tui.doctor.examine import LaneCheck
from tui.engines.detect import DetectedServer
from tui.engines.probe import StreamedAnswer
from tui.judge.comparable import reason
from tui.model.profile import Profile
from tui.model.session import LaneInfo
from tui.model.text import UserError

QUIET = Host(cores=16, load=0.5, files=20_000)
SETTINGS = {
    "version": "0", "model": "m", "weights": "w", "max_model_len": 8192, "kv_tokens": 65_536, "prefix_cache": True,
    "max_running": 256,
}  # fmt: skip


def check(lane: str, **more: object) -> LaneCheck:
    engine = "vllm" if lane == "a" else "sglang"
    info = LaneInfo(url=f"http://{lane}:1", engine=engine, title=engine, model="m")
    one = LaneCheck(
        "a" if lane == "a" else "b",
        info.url,
        server=DetectedServer(info, [1], f"{info.url}/metrics", ""),
        response_ms=3.0,
        settings=SETTINGS | {"engine": engine},
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


def row(checked: DoctorReport, label: str) -> Row:
    return next(row for row in checked.rows if row.label == label)


def test_two_with_the_same_settings_are_comparable() -> None:
    checked = report(profile(), [check("a"), check("b")], QUIET)
    assert checked.comparable
    assert checked.sentence == "comparable: no obstacle found"
    assert not [row for row in checked.rows if row.mark != "same"]


def test_a_difference_is_marked_explained_and_the_sentence() -> None:
    other = SETTINGS | {"engine": "sglang", "kv_tokens": 32_768}
    del other["max_running"]
    checked = report(profile(), [check("a"), check("b", settings=other)], QUIET)
    assert not checked.comparable
    assert checked.sentence == "not comparable because KV tokens differ (65,536 against 32,768)"
    kv = row(checked, "KV tokens")
    assert (kv.values, kv.mark) == (("65,536", "32,768"), "wrong")
    assert kv.lines == (
        "the smaller pool queues and preempts first",
        "A like B: --num-gpu-blocks-override 2048",
        "B like A: --max-total-tokens 65536",
        "or accept it: --waive kv_tokens",
    )
    assert row(checked, "batch limit").mark == "unknown"


def test_a_waived_difference_is_no_obstacle_and_stays_in_the_sentence() -> None:
    other = SETTINGS | {"engine": "sglang", "kv_tokens": 32_768}
    checked = report(profile(waive=["kv_tokens"]), [check("a"), check("b", settings=other)], QUIET)
    assert checked.comparable
    assert checked.sentence == "comparable: no obstacle found; waived: KV tokens"
    assert "(waived)" in row(checked, "KV tokens").lines[0]


def test_the_same_prompt_counted_otherwise_is_incomparable() -> None:
    checked = report(profile(), [check("a"), check("b", prompt_tokens=77)], QUIET)
    assert checked.sentence == "not comparable because token count differs (70 against 77)"


def test_one_gpu_for_both_at_once_is_wrong_and_in_turns_is_not() -> None:
    both = [check(lane, gpus={0: "H100"}, on_this_host=True) for lane in "ab"]
    checked = report(profile(), both, QUIET)
    assert checked.sentence == 'not comparable because both use GPU 0 at once: set mode = "alternate"'
    assert row(checked, "GPU numbers").mark == "wrong"
    accepted = report(profile(waive=["shared_gpu"]), both, QUIET)
    assert accepted.sentence == "comparable: no obstacle found; waived: shared GPU"
    assert report(profile(mode="alternate"), both, QUIET).comparable
    split = [check(lane, gpus={0: "H100 MIG"}, on_this_host=True) for lane in "ab"]
    assert report(profile(), split, QUIET).comparable
    exporters = [check(lane, gpus={0: "H100"}, on_this_host=True, dcgm=f"{lane}:9400") for lane in "ab"]
    assert report(profile(), exporters, QUIET).comparable
    remote = [check(lane, gpus={0: "H100"}, dcgm="far:9400") for lane in "ab"]
    assert "both use GPU 0" in report(profile(), remote, QUIET).sentence
    elsewhere = [check("a", gpus={0: "H100"}, on_this_host=True), check("b", gpus={0: "H100"})]
    assert report(profile(), elsewhere, QUIET).comparable


def test_other_gpus_are_other_hardware() -> None:
    checked = report(profile(), [check("a", gpus={0: "H100", 1: "H100"}), check("b", gpus={0: "H100"})], QUIET)
    assert checked.sentence == "not comparable because GPUs differ (2 × H100 against 1 × H100)"


def test_gpus_beyond_what_the_engine_uses_are_to_be_left_out() -> None:
    lanes = [check(lane, gpus={0: "H100", 1: "H100"}) for lane in "ab"]
    lanes[0].settings = {"engine": "vllm", "version": "0", "model": "m", "weights": "w", "tensor_parallel": 1}
    gpus = row(report(profile(), lanes, QUIET), "GPU numbers")
    assert gpus.lines == ("lane A uses 1 of these 2: name them with gpus = [...]",)


def test_a_load_that_does_not_fit_is_reported() -> None:
    checked = report(profile(load={"prompt_tokens": 8000, "output_tokens": 256}), [check("a"), check("b")], QUIET)
    assert "longer than the context of 8,192" in checked.sentence
    checked = report(profile(load={"concurrency": 256}), [check("a"), check("b")], QUIET)
    assert row(checked, "load").mark == "note"
    assert "256 streams of this length need more than 65,536 KV tokens" in row(checked, "load").lines[0]


def test_a_busy_host_few_files_cold_servers_and_missing_usage_are_reported() -> None:
    cold = check("a", tokens_served=12.0, answer=StreamedAnswer(4, "text", 70, None, "length"))
    checked = report(profile(), [cold, check("b", tokens_served=None)], Host(cores=2, load=1.9, files=100))
    assert row(checked, "served so far").values == ("12 tokens, cold", "?")
    assert row(checked, "streams usage").values == ("no", "yes")
    assert row(checked, "load of this host").mark == "note"
    assert row(checked, "open files").lines == ("this load may need 136: raise it with ulimit -n 136",)
    assert checked.sentence.startswith("not comparable yet: this load may need 136")


def test_a_lane_that_cannot_be_measured_is_the_answer() -> None:
    dead = LaneCheck("b", "http://b:1", error="nobody answers at http://b:1")
    checked = report(profile(), [check("a"), dead], QUIET)
    assert checked.sentence == "lane B cannot be measured: nobody answers at http://b:1"
    assert row(checked, "answers").values == ("in 3 ms", "no")
    both = report(profile(), [LaneCheck("a", "x", error="no"), dead], QUIET)
    assert both.sentence == "lane A cannot be measured: no"


def test_a_simulated_engine_says_so() -> None:
    simulated = check("a")
    assert simulated.server is not None
    info = msgspec.structs.replace(simulated.server.info, simulated=True, title="vLLM", version="0.32.0")
    simulated.server = DetectedServer(info, [], "", "")
    assert row(report(profile(), [simulated, check("b")], QUIET), "engine").values[0] == "SIMULATED vLLM 0.32.0"


def test_the_table_is_plain_text_with_marks() -> None:
    other = SETTINGS | {"engine": "sglang", "kv_tokens": 32_768}
    del other["max_running"]
    lines = text(report(profile(), [check("a"), check("b", settings=other)], QUIET)).splitlines()
    assert lines[0].startswith("not comparable because")
    assert lines[2].split() == ["lane", "A", "B"]
    assert lines.index("! must be mended, or accepted:") < lines.index("? not reported by both:")
    assert any(line.startswith("! KV tokens") and line.endswith("32,768") for line in lines)
    assert any(line.startswith("? batch limit") for line in lines)
    assert all(line.isprintable() for line in lines)


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
        lane: check(lane, prompt_tokens=counts[i], gpus=gpus[i], on_this_host=True)
        for i, lane in enumerate(("a", "b"))
    }

    async def quick(lane: str, *_: object) -> LaneCheck:
        return seen[lane]

    monkeypatch.setattr("tui.doctor.checks.quick_check", quick)
    servers = {lane: one.server for lane, one in seen.items() if one.server is not None}
    assert reason(await setting_differences(profile(mode=mode), {"a": servers["a"], "b": servers["b"]})) == sentence


async def test_one_lane_alone_can_be_examined(address: str) -> None:
    checked = await examine(msgspec.convert({"a": {"url": address}}, Profile))
    assert checked.sentence == "the server can be measured"
    assert checked.comparable


async def test_a_lane_without_a_url_is_refused() -> None:
    with pytest.raises(UserError, match="lane A has no url"):
        await examine(msgspec.convert({"a": {"simulate": "vllm"}}, Profile))
