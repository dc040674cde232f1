"""An event loop that a rule can't end."""

import asyncio
from collections.abc import Callable

__all__ = ["RuleLoop"]


class RuleLoop(asyncio.SelectorEventLoop):
    """Goes on when something in it calls `sys.exit()`, which asyncio lets end any other loop."""

    def __init__(self) -> None:
        super().__init__()
        self.on_exit_call: Callable[[BaseException], object] | None = None
        """Called with what would have ended the loop; while it is None, that ends it."""

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        while True:
            try:
                super().run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # One callback or one step of a task is over. What else was ready still is.
                if self.on_exit_call is None:
                    raise
                self.on_exit_call(error)
            else:
                return
