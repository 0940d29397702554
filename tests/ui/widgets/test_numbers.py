"""How numbers are written."""

from tui.ui.widgets import numbers


def test_a_count_takes_at_most_four_characters() -> None:
    values = (0, 999, 1_000, 1_249, 9_949, 9_960, 12_345, 999_499, 999_600, 1_250_000, 45_000_000, 2e9)
    texts = [numbers.short(value) for value in values]
    wanted = ["0", "999", "1.0k", "1.2k", "9.9k", "10k", "12k", "999k", "1.0M", "1.2M", "45M", "2.0G"]
    assert texts == wanted
    assert max(map(len, texts)) == 4


def test_one_is_no_plural_and_a_small_file_has_a_size() -> None:
    assert [numbers.counted(count, "row") for count in (0, 1, 2481)] == ["0 rows", "1 row", "2,481 rows"]
    assert [numbers.size(count) for count in (17, 4_200, 612_345, 6_100_000)] == [
        "17 B",
        "4.2 kB",
        "610 kB",
        "6.1 MB",
    ]
