"""Options that name a server and its load."""

import argparse

import pytest

from tui.cli.options import profile_from, target_flags


@pytest.mark.parametrize("asked", ["each", "end", None])
def test_the_flag_is_for_both_lanes(asked: str | None) -> None:
    parser = argparse.ArgumentParser()
    target_flags(parser)
    profile = profile_from(parser.parse_args(["demo", *(("--usage", asked) if asked else ())]))
    assert profile.b is not None
    assert {profile.a.usage, profile.b.usage} == {asked or ""}


@pytest.mark.parametrize("passed_on", ["modèle-日本", "modèle-日本".encode().decode("ascii", "surrogateescape")])
def test_a_model_is_asked_for_by_its_name_in_every_locale(passed_on: str) -> None:
    parser = argparse.ArgumentParser()
    target_flags(parser)
    assert profile_from(parser.parse_args(["--a", "http://a.test", "--model", passed_on])).a.model == "modèle-日本"
