"""A new profile from four answers, with comments for everything else that may be set."""

from dataclasses import dataclass

from tui.profile.reading import parse_profile


@dataclass(frozen=True, slots=True)
class Answers:
    """What is asked: both servers, the load, and the variable that holds the key, which may be none."""

    a: str
    b: str  # empty: one lane alone
    concurrency: int
    key_env: str


def profile_text(answers: Answers) -> str:
    """TOML that `read_profile` takes. UserError when the answers make no profile."""
    text = _TEXT.format(
        a=_lane("a", answers.a, answers.key_env),
        b=_lane("b", answers.b, answers.key_env) if answers.b else "# no lane B: one server alone\n",
        concurrency=answers.concurrency,
    )
    parse_profile(text, "the new profile")
    return text


def _lane(name: str, url: str, key_env: str) -> str:
    key = f"api_key_env = {_quoted(key_env)}" if key_env else '# api_key_env = "MY_KEY"  # the variable that holds it'
    return _LANE.format(name=name, url=_quoted(url), key=key)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_LANE = """\
[{name}]
url = {url}
{key}
# model = "…"      # when the server has several
# usage = "each"   # tokens counted in each chunk ("end": once an answer) whatever the chunks hold
"""
_TEXT = """\
sentence = "what this profile is for"
# mode = "alternate"     # the lanes take turns: for engines that share a GPU
# waive = ["kv_tokens"]  # differences that are known and accepted; `dragstrip doctor` names them

{a}# dcgm = "http://host:9400/metrics"  # GPUs of a server elsewhere, from a DCGM exporter

{b}
[load]
concurrency = {concurrency}
prompt_tokens = 512
output_tokens = 256
# arrival = "poisson"  # requests that come due at a rate, whatever the servers do
# request_rate = 4.0
# shared_prefix = 0.5  # share of each prompt that is one common prefix
# temperature = 0.0

# [slo]  # limits of a good request, for goodput
# ttft_ms = 500
# tpot_ms = 30

# [a.launch]  # how `dragstrip launch` starts lane A's engine; [b.launch] the same way
# model = "org/model"                  # with engine = "vllm" above, under [a]
# command = "/path/to/venv/bin/vllm"   # where the engine is not on the PATH
# max_model_len = 16384
# kv_tokens = 65536
# max_running = 256
# prefix_cache = false
"""
