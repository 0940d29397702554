"""A profile is read and checked; an error names file, line and key."""

from pathlib import Path

import pytest

from tui.model.text import UserError
from tui.profile.reading import find_profile, lane_dials, list_profiles, parse_profile, read_profile

GOOD = """
[a]
url = "http://127.0.0.1:8000"

[b]
url = "http://127.0.0.1:30000"
dials = { concurrency = 4 }

[load]
concurrency = 32
prompt_tokens = 512
"""


def test_every_shipped_profile_is_valid_and_says_what_it_is_for() -> None:
    names = list_profiles()
    assert {"demo", "vllm-vs-sglang", "sequential", "concurrent"} <= set(names)
    for name in names:
        profile = read_profile(name)
        assert profile.name == name
        assert profile.sentence


def test_a_lane_may_depart_from_the_common_dials() -> None:
    profile = parse_profile(GOOD, "x.toml")
    assert profile.b is not None
    assert lane_dials(profile, profile.a).concurrency == 32
    assert lane_dials(profile, profile.b).concurrency == 4
    assert lane_dials(profile, profile.b).prompt_tokens == 512


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("concurrency = 32", "concurency = 32"), "x.toml:10: load.concurency: there is no such key; did you mean"),
        (("concurrency = 32", 'concurrency = "many"'), "x.toml:10: load.concurrency: expected int, got str"),
        (("concurrency = 32", "concurrency = -1"), "x.toml:10: load.concurrency: concurrency is -1, but must lie"),
        (("[load]", "[laod]"), "x.toml:9: laod: there is no such key; did you mean `load`?"),
        (("prompt_tokens = 512", "prompt_tokens = "), "x.toml:11: this is not TOML"),
        (('url = "http://127.0.0.1:8000"', ""), "x.toml:2: a.url: give either url or simulate"),
        (("{ concurrency = 4 }", "{ pace = 4 }"), "x.toml:7: b.dials.pace: there is no dial pace"),
        (("concurrency = 32", "think_s = -1"), "x.toml:10: load.think_s: must lie between 0 and 600 seconds"),
        (
            ("concurrency = 32", "read_timeout_s = 0"),
            "x.toml:10: load.read_timeout_s: must be a number of seconds above",
        ),
        (("concurrency = 32", "read_timeout_s = nan"), "x.toml:10: load.read_timeout_s: must be a number of seconds"),
        (("concurrency = 32", "connect_timeout_s = -1"), "x.toml:10: load.connect_timeout_s: must be a number of"),
        (("concurrency = 32", "output_jitter = 2"), "x.toml:10: load.output_jitter: is a share from 0 to below 1"),
        (("concurrency = 32", 'arrival = "poisson"'), "x.toml:10: load.arrival: arrival is poisson, which needs"),
        (('[a]\nurl = "http://127.0.0.1:8000"', ""), "a: is missing, add a table [a]"),
    ],
)
def test_an_error_names_file_line_and_key(change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        parse_profile(GOOD.replace(*change), "x.toml")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_limits_may_have_a_name_and_what_is_given_too_overrides_it() -> None:
    named = parse_profile(GOOD + '\n[slo]\npreset = "llama3.1-8b"\ntpot_ms = 50\n', "x.toml").slo
    assert (named.ttft_ms, named.tpot_ms, named.e2e_ms) == (2000, 50, None)
    with pytest.raises(UserError, match=r"slo\.preset: there is no such preset"):
        parse_profile(GOOD + '\n[slo]\npreset = "quick"\n', "x.toml")
    with pytest.raises(UserError, match=r"slo\.ttft_ms: a limit"):
        parse_profile(GOOD + "\n[slo]\nttft_ms = 0\n", "x.toml")


def test_an_unknown_name_suggests_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean `demo`"):
        find_profile("demmo")
    with pytest.raises(UserError, match="there is no profile file"):
        find_profile(str(tmp_path / "none.toml"))


def test_a_profile_in_the_current_directory_wins_over_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "demo.toml").write_text('sentence = "mine"\n' + GOOD)
    monkeypatch.chdir(tmp_path)
    assert read_profile("demo").sentence == "mine"


def test_what_is_waived_must_have_a_name() -> None:
    assert parse_profile('waive = ["kv_tokens"]\n' + GOOD, "x.toml").waive == ["kv_tokens"]
    with pytest.raises(UserError, match=r"^x.toml:1: waive: nothing is called kv_token; there are model, "):
        parse_profile('waive = ["kv_token"]\n' + GOOD, "x.toml")


def test_a_body_takes_any_json() -> None:
    nested = parse_profile('[a]\nurl = "h"\nextra_body = { a = { b = [1, { c = true }] } }\n', "x.toml").a
    assert nested.extra_body == {"a": {"b": [1, {"c": True}]}}
    text = parse_profile("""[a]\nurl = "h"\nextra_body = '{"stop": null, "n": [1.5]}'\n""", "x.toml").a
    assert text.extra_body == {"stop": None, "n": [1.5]}
    for written in ("'{broken'", "'[1]'"):
        with pytest.raises(UserError, match=r"^x.toml:3: a.extra_body: a text must be a JSON object: "):
            parse_profile(f'[a]\nurl = "h"\nextra_body = {written}\n', "x.toml")
