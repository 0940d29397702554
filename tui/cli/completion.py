"""`dragstrip completion`: completion of commands, flags, sessions and profiles in the shell."""

import argparse

from tui.cli.console import print_result

SHELLS = ("bash", "zsh", "fish")
HELP = "print what a shell needs to complete commands, flags, sessions and profiles"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def call(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print_result(shellcode(["dragstrip"], shell=args.shell).strip())
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, which calls the program with the line so far; ends the process."""
    import argcomplete

    for command in _parsers(parser):
        for action in command._actions:  # argparse gives no other way to them
            if action.dest in ("session", "sessions"):
                action.completer = lambda **_: _sessions()  # type: ignore[attr-defined]
            elif action.dest == "profile":
                action.completer = lambda **_: _profiles()  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += [each for sub in action.choices.values() for each in _parsers(sub)]
    return parsers


def _sessions() -> list[str]:
    from tui.cli.sessions import session_names

    return session_names()


def _profiles() -> list[str]:
    from tui.profile.reading import list_profiles

    return sorted(list_profiles())
