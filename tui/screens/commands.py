"""The command palette: every key of the screen, by what it does."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.widgets.hints import key_sign

NOT_OFFERED = ("app.focus", "screen.copy_text")


class KeyCommands(Provider):
    """Offers the active bindings."""

    def _commands(self) -> dict[str, str]:
        """What is done and by which key, to the action: one for each, and those of the screen alone.

        The keys of a dial in focus would not say which dial they turn, and the screen cannot run them.
        """
        found: dict[str, str] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if active.node is self.screen and binding.description and not binding.action.startswith(NOT_OFFERED):
                found[binding.action] = f"{binding.description}  ({key_sign(binding.key)})"
        return {text: action for action, text in found.items()}

    async def discover(self) -> Hits:
        """All of them."""
        for text, action in self._commands().items():
            yield DiscoveryHit(text, partial(self.screen.run_action, action))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for text, action in self._commands().items():
            if (score := matcher.match(text)) > 0:
                yield Hit(score, matcher.highlight(text), partial(self.screen.run_action, action))
