"""The command palette: every key of the screen, by what it does."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.widgets.hints import key_sign


class KeyCommands(Provider):
    """Offers the active bindings."""

    def _commands(self) -> dict[str, str]:
        """Description and key by action, one for each action."""
        found: dict[str, str] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.description and not binding.system and not binding.action.startswith("app.focus"):
                found.setdefault(f"{binding.description}  ({key_sign(binding.key)})", binding.action)
        return found

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
