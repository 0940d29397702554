"""The engines that there are, and a new one: a module and a line of the registry, and all that then works."""

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from tests.engines.sites import TOKENS, Answers, Site, lane, listing
from tui.doctor.checks import Host, report
from tui.doctor.examine import LaneCheck, reset_cache
from tui.engines.base import Engine, Flag, Request, Selector, Settings, Sign, Start, Tokenizer, official_body
from tui.engines.detect import detect_lane
from tui.engines.launch import command, stage
from tui.engines.readings import gauges_from
from tui.engines.registry import ENGINES, FALLBACK, FILES, get_engine, load_engines
from tui.engines.settings import read_settings
from tui.model import gauges
from tui.model.profile import Launch, Profile
from tui.model.rows import LANES
from tui.model.session import LaneInfo
from tui.model.settings import ENGINE_SETTING
from tui.model.text import UserError
from tui.net.http import Site as Server

PAGE = b"swift_running 3\nswift_queue 4\nswift_tokens 500\n"
ANSWERS: Answers = {
    "GET /v1/models": listing("m"),
    "GET /about": {"name": "swift", "version": "1.4", "context": 4096},
    "GET /metrics": PAGE,
    "GET /settings": {"batch": 32, "pool": 1000, "cache": True},
    "POST /split": TOKENS,
    "POST /forget": {},
}


async def read_details(site: Server, model: str) -> Settings:
    about = (await site.ask("/about")).json_object()
    return {"version": about.get("version"), "max_model_len": about.get("context")}


async def swift_settings(site: Server, info: LaneInfo) -> Settings:
    reported = (await site.ask("/settings")).json_object()
    return {
        "max_running": reported.get("batch"),
        "kv_tokens": reported.get("pool"),
        "prefix_cache": reported.get("cache"),
    }


SWIFT = Engine(
    kind="swift",
    title="SwiftServe",
    sign=Sign("/about", lambda answer: answer.json_object().get("name") == "swift"),
    endpoint="completions",
    prompt_form="ids",
    body=lambda ask: official_body(ask) | {"exactly": True},
    tokenizer=Tokenizer("/split", "words"),
    cheap_health="/about",
    metrics_path="/metrics",
    gauges={
        gauges.RUNNING: (Selector("swift_running"),),
        gauges.WAITING: (Selector("swift_queue"),),
        gauges.GENERATION_TOKENS: (Selector("swift_tokens"),),
    },
    read_details=read_details,
    read_settings=swift_settings,
    flags={
        "max_running": Flag("--batch {}", since=(1, 2), before=Flag("--slots {}")),
        "kv_tokens": Flag("--pool {}"),
        "prefix_cache": Flag(off="--forgetful"),
        "dtype": Flag("env:SWIFT_DTYPE={}"),
    },
    start=Start(
        ("swift", "up"),
        served_name="--name {}",
        progress={r"shard (\d+)%": "loading weights {} %", "listen": "serving"},
    ),
    reset_path="/forget",
)


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file `tui/engines/swift.py`, and its line."""
    module = ModuleType("tui.engines.swift")
    module.ENGINE = SWIFT  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for kind, engine in load_engines([*FILES, "swift"]).items():
        monkeypatch.setitem(ENGINES, kind, engine)


async def test_it_is_detected_and_read() -> None:
    site = Site(ANSWERS)
    server = await detect_lane(lane(), transport=site)
    info = server.info
    assert (info.engine, info.title, info.version, info.max_model_len) == ("swift", "SwiftServe", "1.4", 4096)
    assert (info.prompt_form, server.token_pool) == ("ids", [10, 20, 30])
    assert (server.metrics_url, server.metrics_note) == ("http://engine.test/metrics", "")
    assert await read_settings(server, transport=site) == {
        "engine": "swift", "version": "1.4", "model": "m", "max_model_len": 4096, "max_running": 32,
        "kv_tokens": 1000, "prefix_cache": True,
    }  # fmt: skip
    assert await reset_cache(server, transport=site) == ""


async def test_a_setting_of_another_type_is_none() -> None:
    odd: Answers = {**ANSWERS, "GET /settings": {"batch": "32", "pool": "\x1b[1mmany", "cache": [1]}}
    site = Site(odd)
    known = await read_settings(await detect_lane(lane(), transport=site), transport=site)
    assert (known["max_running"], known.get("kv_tokens"), known.get("prefix_cache")) == (32, None, None)


async def test_it_is_known_by_its_owner_or_by_its_metrics_too() -> None:
    unsigned = {name: answer for name, answer in ANSWERS.items() if "about" not in name}
    assert (await detect_lane(lane(), transport=Site(unsigned))).info.engine == "swift"


def test_its_gauges_are_read_and_its_requests_sent_in_its_format() -> None:
    assert gauges_from(get_engine("swift"), PAGE) == {
        gauges.RUNNING: 3, gauges.WAITING: 4, gauges.GENERATION_TOKENS: 500,
    }  # fmt: skip
    assert get_engine("swift").body(Request("completions", "m", [1], 5, 0.0, 7))["exactly"] is True


def test_it_is_started_and_its_log_read() -> None:
    launch = Launch(model="weights", max_running=32, prefix_cache=False, dtype="fp8")
    arguments, env = command("swift", launch, 9, served_name="m")
    assert arguments == [
        "swift", "up", "weights", "--name", "m", "--host", "127.0.0.1", "--port", "9", "--batch", "32", "--forgetful",
    ]  # fmt: skip
    assert env == {"SWIFT_DTYPE": "fp8"}
    assert "--slots" in command("swift", msgspec.structs.replace(launch, version="1.1"), 9)[0]
    with pytest.raises(UserError, match="SwiftServe has no flag for seed"):
        command("swift", msgspec.structs.replace(launch, seed=1), 9)
    assert [stage("swift", line) for line in ("shard 60%", "listening", "other")] == [
        "loading weights 50 %",
        "serving",
        "",
    ]


def test_doctor_names_its_flags() -> None:
    lanes = []
    for number, pool in enumerate((1000, 2000)):
        settings = {"engine": "swift", "version": "1.4", "model": "m", "kv_tokens": pool}
        lanes.append(LaneCheck(LANES[number], "http://engine.test", settings=settings))
    profile = msgspec.convert({"a": {"url": "http://a:1"}, "b": {"url": "http://b:1"}}, Profile)
    lines = [line for row in report(profile, lanes, Host(8, 0.0, None)).rows for line in row.lines]
    assert {"A like B: --pool 2000", "B like A: --pool 1000"} <= set(lines)


def test_every_engine_is_declared_consistently() -> None:
    assert list(ENGINES) == [*FILES, "swift"]
    for kind, engine in ENGINES.items():
        assert engine.kind == kind
        assert set(engine.gauges) <= {name for constant, name in vars(gauges).items() if constant.isupper()}
        assert set(engine.flags) <= ENGINE_SETTING.keys() | set(Launch.__struct_fields__)
        assert bool(engine.gauges) == bool(engine.metrics_path)
        assert engine.endpoint == "completions" or engine.prompt_form == "text"


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match="there is no engine kind vlm; there are: vllm, sglang"):
        get_engine("vlm")


# Named after the schema of a file, or after a simulator.
_SCHEMAS_AND_SIMULATORS = (
    "simulator",
    "export",
    "traffic",
    "model/profile.py",
    "cli/export.py",
    "cli/main.py",
    "ui/dialogs.py",
    "ui/export_dialog.py",
)


def test_no_other_file_names_an_engine() -> None:
    package = Path(__file__).parents[2] / "tui"
    kinds = [
        engine for engine in load_engines(FILES).values() if engine is not FALLBACK
    ]  # which is named after the API
    names = [re.escape(name) for engine in kinds for name in (engine.kind, engine.title)]
    pattern = re.compile(rf"\b({'|'.join(names)})\b", re.IGNORECASE)
    allowed = (*_SCHEMAS_AND_SIMULATORS, "engines/registry.py", *(f"engines/{name}.py" for name in FILES))
    for path in package.rglob("*.py"):
        where = path.relative_to(package).as_posix()
        if not where.startswith(allowed):
            named = [text for text in _strings_and_names(path.read_text()) if pattern.search(text)]
            assert named == [], where


def _strings_and_names(source: str) -> list[str]:
    """Every string and name in the code; comments and docstrings may say why something is so by an engine's name."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)}  # type: ignore[attr-defined]
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            texts.append(node.value)
        elif isinstance(node, ast.Name):
            texts.append(node.id)
    return texts
