"""`eshet-rules list`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from eshet_rules.cli.options import Command, runner_options

__all__ = ["list_"]

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@click.command("list", cls=Command)
@click.option("--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for machines: a line each time.")
@runner_options
def list_(
    watch: bool, as_json: bool, server: str | None, runner: str | None, config: Path | None
) -> None:
    """Show how the rules of a running runner are.

    Of each rule: its state and since when, version, strategy, restarts, how many tasks run and
    wait, what it reads and writes, and its last error.
    """
    import asyncio

    from eshet.unknown import Unknown
    from eshet_rules.cli.asking import Runner, ask
    from eshet_rules.cli.table import table

    async def show(running: Runner) -> None:
        rules, broken = await running.rules()
        if as_json:
            click.echo(json.dumps({"rules": rules, "broken": broken}))
        else:
            click.echo(table(rules, broken))

    async def request(running: Runner) -> None:
        if not watch:
            await show(running)
            return
        changes: asyncio.Queue[Any] = asyncio.Queue()
        clear = sys.stdout.isatty() and not as_json
        changes.put_nowait(
            await running.client.state_observe(f"{running.base}/runner", changes.put_nowait)
        )
        while True:
            summary = await changes.get()
            if not changes.empty():
                continue
            if clear:
                click.echo(_CLEAR, nl=False)
            if summary is Unknown:
                click.echo(f"the runner {running.name!r} does not run", err=True)
            else:
                await show(running)

    ask(request, server, runner, config)
