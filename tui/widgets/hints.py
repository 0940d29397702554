"""The bottom row: the keys that can be pressed now, taken from the bindings themselves."""

from collections.abc import Iterable

from textual.binding import Binding

from tui.widgets.rows import Row, Rows, Span, fit, length

KEY_SIGNS = {
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "comma": ",", "full_stop": ".", "less_than_sign": "<", "greater_than_sign": ">", "semicolon": ";",
    "apostrophe": "'", "colon": ":", "quotation_mark": '"', "question_mark": "?", "up": "↑", "down": "↓",
    "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn",
}  # fmt: skip


def key_sign(key: str) -> str:
    """A key as it is printed: `[`, `ctrl+p`, `space`."""
    return KEY_SIGNS.get(key, key)


def grouped(bindings: Iterable[Binding]) -> list[tuple[str, str]]:
    """(keys, label) in order: the keys of one group stand together under the group's name."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        label = binding.group.description if binding.group else binding.description
        keys = found.setdefault(label, [])
        if key_sign(binding.key) not in keys:
            keys.append(key_sign(binding.key))
    return [(" ".join(keys), label) for label, keys in found.items()]


def hint_row(hints: Iterable[tuple[str, str]], width: int) -> Row:
    """As many hints as fit, in order."""
    spans: list[Span] = []
    for keys, label in hints:
        more: list[Span] = [(f" {keys}", "strong"), (f" {label} ", "muted")]
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


class Hints(Rows):
    """One row of hints."""

    def show(self, bindings: Iterable[Binding]) -> None:
        """Take the bindings that are active and shown."""
        self.put([hint_row(grouped(bindings), self.size.width or self.app.size.width)])
