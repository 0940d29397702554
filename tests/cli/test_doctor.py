"""`dragstrip doctor` on simulated engines."""

import pytest

from tui.cli.main import main


def test_it_prints_the_table_and_the_sentence_and_empties_the_caches(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "demo", "--reset-cache"])
    out = capsys.readouterr().out.splitlines()
    assert out[2].split() == ["lane", "A", "B"]
    assert any("SIMULATED vLLM" in line and "SIMULATED SGLang" in line for line in out)
    sentence = out[0]
    assert sentence.startswith(("comparable", "not comparable"))
    assert (code == 0) == sentence.startswith("comparable")
    assert out[-2:] == ["lane A: its prefix cache is empty now", "lane B: its prefix cache is empty now"]


def test_a_difference_that_has_no_name_cannot_be_waived(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "demo", "--waive", "kv_token"]) == 2
    assert capsys.readouterr().err == "dragstrip: nothing is called kv_token to waive; did you mean kv_tokens?\n"


@pytest.mark.parametrize("flag", ["--no-record", "--out", "--goodput"])
def test_flags_of_a_recording_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "demo", flag, "ttft:500"]) == 2
    assert f"`dragstrip doctor` does not take {flag}: " in capsys.readouterr().err
