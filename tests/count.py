"""Count the code lines of `tui/`: no blanks, comments or docstrings; imports counted.

`python -m tests.count` prints a line a folder and the sum; `--files` a line a file too; a path counts that checkout.
"""

import ast
import io
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(text: str) -> int:
    """Lines that hold code; of a string over several lines, each."""
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstring_lines(text))


def _docstring_lines(text: str) -> set[int]:
    lines = set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            first = node.body[0]
            lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def main() -> None:
    """Print the table."""
    paths = [arg for arg in sys.argv[1:] if not arg.startswith("-")]
    root = (Path(paths[0]) if paths else Path(__file__).parents[1]) / "tui"
    counts = {path.relative_to(root): code_lines(path.read_text()) for path in sorted(root.rglob("*.py"))}
    if "--files" in sys.argv:
        for path, lines in counts.items():
            print(f"{lines:6,}  {path}")
    folders = defaultdict[str, list[int]](list)
    for path, lines in counts.items():
        folders[path.parts[0] if len(path.parts) > 1 else "."].append(lines)
    for folder, each in folders.items():
        print(f"{sum(each):6,} lines in {len(each):3} files of {folder}")
    print(f"{sum(counts.values()):6,} lines in {len(counts):3} files")


if __name__ == "__main__":
    main()
