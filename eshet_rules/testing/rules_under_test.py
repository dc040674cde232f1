"""The rules of a test: modules of a rules folder, and functions of the test itself."""

import ast
import functools
import hashlib
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.scope import Reason
from eshet.text import encodable
from eshet.yarp.driving.drives import Drives
from eshet.yarp.outputs import HeldOutput
from eshet_rules.config import (
    FILE_NAME,
    ConfigurationFile,
    Parameters,
    RuleSettings,
)
from eshet_rules.mistakes.finder import parse
from eshet_rules.modules.discovery import Source, discover
from eshet_rules.modules.importer import Importer
from eshet_rules.modules.module_version import ModuleVersion
from eshet_rules.reload.checkpoint import decode, encode
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.snapshot import ModuleSnapshot
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import TaskScope

__all__ = ["FunctionsUnderTest", "ModulesUnderTest", "literal_texts"]

MakeClient = Callable[[str], Client]

_VERSION_DIGITS: Final = 8


class ModulesUnderTest:
    """The chosen modules of one rules folder, and the modules that they import.

    Args:
        folder: the rules folder; parameters of rules are those of its `eshet-rules.toml`.
        make_client: makes the client of a module.
        log: receives messages about the rules.
        drives: the paths that rules drive.
        sources: the content of the folder; None for its present one.
        settings: returns the settings of a rule, in place of those of the folder.

    Raises:
        ConfigurationError: the configuration file has mistakes.
    """

    def __init__(
        self,
        folder: Path,
        make_client: MakeClient,
        log: FilteringBoundLogger,
        drives: Drives,
        *,
        sources: Mapping[str, Source] | None = None,
        settings: Callable[[str], RuleSettings] | None = None,
    ) -> None:
        self.folder: Final = folder
        self._drives = drives
        self._make_client = make_client
        self._log = log
        self._sources = sources
        self._configured = settings or ConfigurationFile(folder / FILE_NAME).read().for_rule
        self._parameters: dict[str, dict[str, Any]] = {}  # of the test, by module
        self._chosen: set[str] = set()
        self._edited: dict[str, Source] = {}
        self._stored = b""
        self._reloader = self._make_reloader(None)

    def _make_reloader(self, inherited: Mapping[str, Any] | None) -> Reloader:
        importer = Importer(self.folder, TaskScope)
        return Reloader(
            importer, self._make_client, self._log, self._settings, inherited, self._drives
        )

    def _settings(self, rule: str) -> RuleSettings:
        settings = self._configured(rule)
        given = self._parameters.get(rule.rpartition(".")[0])
        if given is None:
            return settings
        parameters = Parameters({**settings.parameters, **given}, rule=rule)
        return replace(settings, parameters=parameters)

    def choose(self, name: str, parameters: Mapping[str, Any], source: str | None) -> None:
        """Choose a module for the next update.

        Args:
            name: of the module, such as `upstairs.bath`.
            parameters: of its rules, in addition to those of the configuration.
            source: its text, in place of the content of its file; None for the file.
        """
        self._chosen.add(name)
        if parameters:
            self._parameters[name] = dict(parameters)
        if source is None:
            self._edited.pop(name, None)
        else:
            path = self.folder / (name.replace(".", "/") + ".py")
            self._edited[name] = _source(name, path, textwrap.dedent(source))

    def choose_all(self) -> None:
        """Choose all modules of the folder, except helpers, for the next update."""
        found = self._found().items()
        self._chosen |= {name for name, source in found if not source.is_helper}

    def modules(self) -> set[str]:
        """Return the names of the running and of the broken modules."""
        return {*self._reloader.instances, *self._reloader.broken}

    def broken(self) -> list[str]:
        """Return the names of modules that can't be imported, or of which a rule has failed."""
        instances = self._reloader.instances.items()
        failed = {name for name, instance in instances if instance.failed_rules}
        return sorted(failed | self._reloader.broken.keys())

    def asking_for_config(self) -> set[str]:
        """Return the names of the rules that have an argument `config`."""
        return self._reloader.asking_for("config")

    def paths(self) -> Iterator[str]:
        """Iterate over the paths that the rules have registered."""
        for instance in self._reloader.instances.values():
            for report in instance.reports():
                yield from filter(instance.owns, report.writes)

    def instances(self) -> Iterator[ModuleInstance]:
        """Iterate over the running modules."""
        yield from self._reloader.instances.values()

    def outputs(self) -> Iterator[HeldOutput]:
        """Iterate over the sinks of the rules."""
        return self._reloader.outputs()

    def renew(self, name: str) -> None:
        """Make the next update reload a module, even if it has not changed."""
        self._reloader.renew([name])

    async def update(self) -> bool:
        """Load and reload the chosen modules; return whether that succeeded."""
        return await self._reloader.update(self._wanted())

    async def follow_settings(self) -> None:
        """Start and stop rules according to the present settings."""
        self._reloader.configure(self._settings)
        await self._reloader.follow()

    async def stop(self) -> None:
        """End the rules, and keep the state that a new process would find."""
        snapshots = {
            name: snapshot
            for name in self._reloader.with_snapshot
            if (snapshot := self._reloader.snapshot(name, wall_epoch())) is not None
        }
        self._stored = encode(snapshots)
        await self._reloader.close()

    async def start_again(self, drives: Drives) -> bool:
        """Start the rules with the state of the last `stop`; return whether that succeeded.

        Args:
            drives: the paths that rules drive in the new process.
        """
        self._drives = drives
        self._reloader = self._make_reloader(decode(self._stored, wall_epoch()))
        return await self.update()

    async def close(self) -> None:
        """End the rules."""
        await self._reloader.close()

    def texts(self) -> Iterator[str]:
        """Iterate over all texts that the source of the modules contains."""
        for source in self._wanted().values():
            yield from literal_texts(source.data)

    def _found(self) -> Mapping[str, Source]:
        return discover(self.folder) if self._sources is None else self._sources

    def _wanted(self) -> dict[str, Source]:
        """Return the chosen modules, helpers, and the modules that they import."""
        found = {**self._found(), **self._edited}
        wanted: dict[str, Source] = {}
        todo = [name for name in found if name in self._chosen]
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted[name] = found[name]
                source = found[name]
                todo += [e for e in _imports(source.data, source.package) if e in found]
        return {name: found[name] for name in sorted(wanted)}


class FunctionsUnderTest:
    """Rules that are functions of the test, each as the only rule of a module.

    Args:
        make_client: makes the client of a module.
        log: receives messages about the rules.
        drives: the paths that rules drive.
    """

    def __init__(self, make_client: MakeClient, log: FilteringBoundLogger, drives: Drives) -> None:
        self._make_client = make_client
        self._drives = drives
        self._log = log
        self._running: dict[str, tuple[ModuleInstance, Mapping[str, Any]]] = {}
        self._stopped: dict[str, tuple[ModuleInstance, Mapping[str, Any]]] = {}
        self._stored = b""

    def instances(self) -> Iterator[ModuleInstance]:
        """Iterate over the running modules."""
        for instance, _ in self._running.values():
            yield instance

    async def start(self, rule: Rule, parameters: Mapping[str, Any]) -> bool:
        """Start a rule; return whether its set-up succeeded.

        Args:
            rule: the rule.
            parameters: which it gets as `config`.
        """
        module = f"test{len(self._running) or ''}"
        return await self._start(module, rule, parameters, None)

    async def stop(self) -> None:
        """End the rules, and keep the state that a new process would find."""
        epoch = wall_epoch()
        self._stored = encode(
            {name: each.snapshot(epoch) for name, (each, _) in self._running.items()}
        )
        self._stopped = dict(self._running)
        await self.close()

    async def start_again(self, drives: Drives) -> bool:
        """Start the rules with the state of the last `stop`; return whether that succeeded.

        Args:
            drives: the paths that rules drive in the new process.
        """
        self._drives = drives
        snapshots = decode(self._stored, wall_epoch())
        started = [
            await self._start(name, rule, parameters, snapshots.get(name))
            for name, (instance, parameters) in self._stopped.items()
            for rule in instance.version.rules.values()
        ]
        return all(started)

    async def close(self) -> None:
        """End the rules."""
        running, self._running = self._running, {}
        for instance, _ in running.values():
            await instance.close(Reason.SHUTDOWN)
            await instance.connection.close()

    def outputs(self) -> Iterator[HeldOutput]:
        """Iterate over the sinks of the rules."""
        for instance, _ in self._running.values():
            yield from instance.outputs()

    async def _start(
        self,
        module: str,
        rule: Rule,
        parameters: Mapping[str, Any],
        snapshot: ModuleSnapshot | None,
    ) -> bool:
        path = Path(inspect.getfile(inspect.unwrap(rule.function)))
        source = _source(module, path, "")
        version = ModuleVersion(source, types.ModuleType(module), TaskScope(module))
        version.rules[rule.name] = rule
        config = Parameters(parameters, rule=rule.name)
        instance = ModuleInstance(
            version,
            self._make_client(module),
            self._log,
            snapshot=snapshot,
            held_back=snapshot is not None,
            settings=lambda _: RuleSettings(parameters=config),
            drives=self._drives,
        )
        self._running[module] = instance, parameters
        is_set_up = await instance.prepare()
        instance.take_over()
        return is_set_up


def literal_texts(source: bytes | types.CodeType) -> Iterator[str]:
    """Iterate over the text literals of a module's source, or of compiled code."""
    if isinstance(source, bytes):
        tree = parse(source)
        if tree is None:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
        return
    for constant in source.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from literal_texts(constant)


@functools.lru_cache(maxsize=1000)
def _imports(data: bytes, package: str) -> tuple[str, ...]:
    """Return the names of modules that a module may import, and of their packages."""
    return tuple(_find_imports(data, package))


def _find_imports(data: bytes, package: str) -> Iterator[str]:
    tree = parse(data)
    if tree is None:
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, *filter(None, [base])])
            names = [base, *(f"{base}.{each.name}".lstrip(".") for each in node.names)]
        for name in names:
            for match in re.finditer(r"\.|$", name):
                yield name[: match.start()]


def _source(name: str, path: Path, text: str) -> Source:
    data = encodable(text).encode()
    version = hashlib.sha256(data).hexdigest()[:_VERSION_DIGITS]
    return Source(name, path, data, version, (0,))
