"""The command line: one module a command, imported light; what a command needs it imports when it runs."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from tui import __version__
from tui.cli.console import has_terminal, is_dumb, print_notice
from tui.model.text import UserError, sanitize

# In the order of help; a module each. Only the one that is called is imported: the first paint waits for it.
GROUPS = {
    "watch": ("demo", "watch"),
    "measure": ("run", "doctor", "calibrate", "selftest"),
    "look back": ("sessions", "replay", "report", "compare", "export", "plan"),
    "tools": ("launch", "profiles", "config", "data", "simulate", "completion"),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
EXAMPLES = {
    "demo": "dragstrip demo",
    "watch": "dragstrip watch --a http://127.0.0.1:8000 --b http://127.0.0.1:30000",
    "run": "dragstrip run vllm-vs-sglang --sweep concurrency=1,8,64 --until-decided --at-most 5m --json",
    "doctor": "dragstrip doctor vllm-vs-sglang",
    "calibrate": "dragstrip calibrate vllm-vs-sglang --for 5m",
    "selftest": "dragstrip selftest",
    "sessions": "dragstrip sessions note 2026-11-28 'clocks were low'",
    "replay": "dragstrip replay h100-sweep --at 50% --speed 4",
    "report": "dragstrip report h100-sweep --format html --to report.html",
    "compare": "dragstrip compare S1 S2 S3 --fail-if 'b.ttft_p95 > a.ttft_p95 * 1.05'",
    "export": "dragstrip export h100-sweep --table requests --to - | head",
    "plan": "dragstrip plan SESSION --to again.toml",
    "launch": "dragstrip launch llama-8b --print",
    "profiles": "dragstrip profiles",
    "config": "dragstrip config",
    "data": "dragstrip data --help",
    "simulate": "dragstrip simulate --engine vllm --port 8000",
    "completion": 'eval "$(dragstrip completion bash)"',
}
ALIASES = {"ruler": "selftest"}  # former names
REMOVED = {
    (
        "import",
    ): "`dragstrip import` was removed: to compare with another tool's file, export a session in its format "
    "with `dragstrip export SESSION --format vllm`, or sglang, guidellm, aiperf",
    ("replay", "--plain"): "`replay --plain` was removed: use `dragstrip report SESSION`, which needs no terminal",
}
INTERRUPTED = 130
FLAG = re.compile(r"--[a-z-]+")
MIN_SIMILARITY = 0.8  # as difflib measures
MIN_TYPED = 4  # characters of a flag, dashes included, for a guess from its beginning


class Parser(argparse.ArgumentParser):
    """Reports an error in one sentence, where argparse prints all flags before it."""

    def format_help(self) -> str:
        """The commands by what they are for; of one command as argparse writes it."""
        commands = next((each for each in self._actions if isinstance(each, argparse._SubParsersAction)), None)
        if commands is None or self.prog != "dragstrip" or len(commands.choices) < len(COMMANDS):
            return super().format_help()
        helps = {each.dest: each.help or "" for each in commands._choices_actions}
        lines = [f"usage: {self.prog} COMMAND …", "", self.description or ""]
        for group, names in GROUPS.items():
            lines += ["", f"{group}:", *(f"  {name:<11} {helps[name]}" for name in names)]
        options = ("  -h, --help  show this help; `dragstrip COMMAND --help` explains a command", "  --version")
        return "\n".join([*lines, "", "options:", *options, "", self.epilog or ""]) + "\n"

    def error(self, message: str) -> NoReturn:
        kinds = {"int": "a whole number", "float": "a number"}
        sentence = re.sub(
            r"^argument (\S+): invalid (int|float) value: (.*)",
            lambda match: f"{match[1]} takes {kinds[match[2]]}, not {match[3]}",
            message,
        )
        raise UserError(f"{sentence.removeprefix('argument ')}; see `{self.prog} --help`")


def parser(only: str = "") -> argparse.ArgumentParser:
    top = Parser(
        prog="dragstrip",
        description="A live head-to-head of two LLM inference servers in the terminal.",
        epilog="Try `dragstrip demo`, then `dragstrip watch --a URL --b URL` with your servers.",
    )
    top.add_argument("--version", action="version", version=f"dragstrip {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in [only] if only else COMMANDS:
        command = import_module(f"tui.cli.{name}")
        sub = commands.add_parser(
            name, help=command.HELP, description=command.HELP, epilog=f"example: {EXAMPLES[name]}",
            allow_abbrev=False,
        )  # fmt: skip
        command.arguments(sub)
        sub.set_defaults(call=command.call, parser=sub)
    return top


def nearest(typed: str, flags: Sequence[str]) -> list[str]:
    """The flags that a mistyped one may mean, perhaps by the name of their dial."""
    import difflib

    from tui.cli.options import DIAL_FLAGS

    names = {flag: flag for flag in flags}
    names |= {f"--{dial.replace('_', '-')}": flag for flag, (dial, _, _) in DIAL_FLAGS.items() if flag in names}
    called = typed.partition("=")[0]
    near = [
        name
        for name in names
        if len(called) >= MIN_TYPED
        and (name.startswith(called) or (called.startswith(name) and len(name) >= MIN_TYPED))
    ]
    return list(
        dict.fromkeys(names[name] for name in near or difflib.get_close_matches(called, names, 1, MIN_SIMILARITY))
    )


def _suggestion(command: str) -> str:
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, 1)
    return f"did you mean `{near[0]}`?" if near else "`dragstrip --help` lists them"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a lane failed or the comparison was refused, 2 bad usage or profile, 130 interrupted."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without δ gets a `?`, not a traceback
    try:
        return _call(list(sys.argv[1:] if argv is None else argv))
    except UserError as error:
        print_notice(f"dragstrip: {error}")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone: a closed pager, `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _call(typed: Sequence[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from tui.cli.completion import complete

        complete(parser())
    if not typed and has_terminal() and not is_dumb():
        from tui.cli.start import choose

        chosen, code = choose()
        return _call(chosen) if chosen else code
    typed = [ALIASES.get(typed[0], typed[0]), *typed[1:]] if typed else []
    command = typed[0] if typed else ""
    for words, sentence in REMOVED.items():
        if command == words[0] and set(words) <= set(typed):
            raise UserError(sentence)
    if command and not command.startswith("-") and command not in COMMANDS:
        raise UserError(f"there is no command `{sanitize(command, 40)}`; {_suggestion(command)}")
    commands = parser(only=command if command in COMMANDS else "")
    args, unknown = commands.parse_known_args(typed)
    if unknown:
        called = f"dragstrip {args.command or ''}".rstrip()
        usage = getattr(args, "parser", commands).format_usage()
        near = nearest(unknown[0], [*FLAG.findall(usage), "--help"])
        instead = f"did you mean {' or '.join(near)}?" if near else f"`{called} --help` lists its flags"
        raise UserError(f"`{called}` does not take {sanitize(unknown[0], 40)}: {instead}")
    if not args.command:
        print_notice(commands.format_help().rstrip())
        return 2
    return int(args.call(args))


if __name__ == "__main__":
    sys.exit(main())
