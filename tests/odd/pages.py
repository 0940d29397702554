"""Kind 7: metrics pages on which presence is not content. Each is vLLM's, and read right or said to be unreadable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.odd.server import DONE, OddServer, event, stream, usage, whole

PLAIN = "text/plain; version=0.0.4"
VLLM = {"object": "list", "data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8192}]}


@dataclass(frozen=True, slots=True)
class OddPage:
    """A page, and the gauges that are on it; none means that doctor calls the metrics off or says what is wrong."""

    name: str
    answer: bytes
    gauges: Mapping[str, float] = field(default_factory=dict)

    @property
    def server(self) -> OddServer:
        texts = [{"index": 0, "text": " w", "finish_reason": "length" if n == 3 else None} for n in range(4)]
        events = stream(*(event({"object": "text_completion", "choices": [text]}) for text in texts), usage(4), DONE)
        pages = {"/metrics": self.answer, "/v1/models": whole("200 OK", VLLM), "/health": whole("200 OK", b"")}
        return OddServer(7, self.name, events, pages=pages, paths=("/v1/completions",))


NODE_EXPORTER = """\
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 8
# TYPE node_load1 gauge
node_load1 0.21
"""
OPEN_METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0 1770000000.123
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0 1770000000.123
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="m"} 512.0 # {trace_id="abc"} 1.0 1770000000.1
vllm:generation_tokens_created{engine="0",model_name="m"} 1.77e+09
# EOF
"""
NOT_A_NUMBER = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} NaN
vllm:num_requests_waiting{engine="0",model_name="m"} NaN
"""
TWO_ENGINES = """\
vllm:num_requests_running{model_name="a,b}\\"c",engine="0"} 3
vllm:num_requests_running{model_name="a,b}\\"c",engine="1"} 4
vllm:num_requests_waiting{model_name="a,b}\\"c",engine="0"} 1
vllm:num_requests_waiting{model_name="a,b}\\"c",engine="1"} 1
"""
PREFIXED = """\
# TYPE prod_vllm:num_requests_running gauge
prod_vllm:num_requests_running{engine="0",model_name="m"} 3
"""
UNDERSCORES = """\
vllm_num_requests_running{engine="0",model_name="m"} 3
vllm_num_requests_waiting{engine="0",model_name="m"} 2
"""
ONE_GAUGE = """\
vllm:num_requests_running{engine="0",model_name="m"} 3
"""
PAGES = [
    OddPage("page of a web interface", whole("200 OK", "\ufeff<!doctype html><title>UI</title>", "text/html")),
    OddPage("empty page", whole("200 OK", b"", PLAIN)),
    OddPage("page of another program", whole("200 OK", NODE_EXPORTER, PLAIN)),
    OddPage("names with a prefix", whole("200 OK", PREFIXED, PLAIN)),
    OddPage("nothing but NaN", whole("200 OK", NOT_A_NUMBER, PLAIN)),
    OddPage("comments alone", whole("200 OK", "# TYPE vllm:num_requests_running gauge\n# EOF\n", PLAIN)),
    OddPage(
        "open metrics", whole("200 OK", OPEN_METRICS, "application/openmetrics-text"), {"running": 3, "waiting": 0}
    ),
    OddPage("gauges of two engines", whole("200 OK", TWO_ENGINES, PLAIN), {"running": 7, "waiting": 2}),
    OddPage("names with an underscore", whole("200 OK", UNDERSCORES, PLAIN), {"running": 3, "waiting": 2}),
    OddPage("one gauge alone", whole("200 OK", ONE_GAUGE, PLAIN)),
]
