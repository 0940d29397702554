"""Our reading of a metrics page against prometheus_client's."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.telemetry.pages import PAGES, page
from tui.net.prometheus import MAX_SAMPLES, Sample, parse


def reference(raw: bytes) -> dict[str, list[Sample]]:
    by_metric: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(raw.decode()):
        for sample in family.samples:
            # The library ends every counter in _total, even one that does not (llama.cpp has n_tokens_max).
            name = sample.name if sample.name.encode() in raw else sample.name.removesuffix("_total")
            by_metric.setdefault(name, []).append((dict(sample.labels), float(sample.value)))
    return by_metric


@pytest.mark.parametrize("name", PAGES)
def test_every_metric_of_every_captured_page_reads_as_the_library_reads_it(name: str) -> None:
    raw = page(name)
    expected = reference(raw)
    assert len(expected) > 10
    ours = parse(raw, expected)
    assert ours.keys() == expected.keys()
    for metric in expected:
        assert repr(ours[metric]) == repr(expected[metric])  # repr makes NaN equal to itself


def test_only_whole_names_count() -> None:
    comments = b"# HELP a_total a_total counts a_total\n# TYPE a_total counter\n"
    raw = comments + b'a_total{x="a_total 9"} 1\na_total_more 2\na 3\n'
    assert parse(raw, ["a_total", "a"]) == {"a_total": [({"x": "a_total 9"}, 1.0)], "a": [({}, 3.0)]}


def test_created_samples_are_another_metric() -> None:
    raw = b"n_total 5\nn_created 1.79e+09\n"
    assert parse(raw, ["n_total"]) == {"n_total": [({}, 5.0)]}


def test_escapes_braces_timestamps_exemplars_and_odd_spacing() -> None:
    raw = (
        b'm{path="C:\\\\dir\\n\\"quoted\\"}",le="+Inf",} 4 1795416627000\n'
        b'm{le="1"} 2 # {trace_id="x"} 0.5\n'
        b'  m\t{ le = "2" , z="" }\t 3 \r\n'
        b"m 1e+06"
    )
    assert parse(raw, ["m"])["m"] == [
        ({"path": 'C:\\dir\n"quoted"}', "le": "+Inf"}, 4.0),
        ({"le": "1"}, 2.0),
        ({"le": "2", "z": ""}, 3.0),
        ({}, 1e6),
    ]


def test_values_that_are_no_numbers_are_kept_as_they_are() -> None:
    values = [value for _, value in parse(b"g NaN\ng +Inf\ng -Inf\n", ["g"])["g"]]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("line", [b'm{a="1" 3', b'm{a="1} 3\n', b"m twelve", b"m \n", b'm{="x"} 1'])
def test_a_malformed_line_takes_no_other_along(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"labels do not end|no value|not a number"):
        parse(b"ok 1\n" + line, ["m"])
    rest = b'ok 1\nm{a="2"} 4\n'
    assert parse(rest + line, ["m", "ok"]) == {"m": [({"a": "2"}, 4.0)], "ok": [({}, 1.0)]}
    assert parse(b"ok 1\n" + line, ["m", "ok"]) == {"ok": [({}, 1.0)]}


@pytest.mark.parametrize("value", ["N/A", "null", "-", "1,5", "None", "0x1F", "n/a 1700000000"])
def test_a_value_that_is_none_takes_no_other_along(value: str) -> None:
    page = f"vllm:num_requests_running 3\nvllm:kv_cache_usage_perc {value}\nvllm:num_requests_waiting 2\n".encode()
    wanted = ["vllm:kv_cache_usage_perc", "vllm:num_requests_running", "vllm:num_requests_waiting"]
    assert parse(page, wanted) == {wanted[1]: [({}, 3.0)], wanted[2]: [({}, 2.0)]}


def test_too_many_samples_of_one_metric_take_no_other_along() -> None:
    page = b"".join(b'm{n="%d"} 1\n' % n for n in range(MAX_SAMPLES + 1)) + b"ok 1\n"
    assert parse(page, ["m", "ok"]) == {"ok": [({}, 1.0)]}


def test_a_malformed_line_that_nobody_wants_does_no_harm() -> None:
    assert parse(b"<html>\nok 1\nother{ 2\n", ["ok"]) == {"ok": [({}, 1.0)]}


_LABEL_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


# A busy machine is no fault of the parser: neither its examples nor their making are timed.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.from_regex(r"\A[a-z_][a-z0-9_]{0,5}\Z"), _LABEL_VALUES, max_size=3),
            st.floats(allow_nan=False),
        ),
        max_size=4,
    )
)
def test_any_page_reads_as_it_was_written(samples: list[Sample]) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    lines = []
    for labels, value in samples:
        inside = ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())
        lines.append(f"m{{{inside}}} {value!r}")
    assert parse("\n".join(lines).encode(), ["m"]).get("m", []) == samples
