"""The settings: a dataclass for each table of the file, with all defaults."""

import dataclasses
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, TypeVar

from eshet.address import Address
from eshet.bridges.settings import BridgeSettings
from eshet.client.receiver import MAX_WAITING_BYTES
from eshet.nats.address import NatsAddress
from eshet.protocol import DEFAULT_PORT
from eshet.server_address import ServerAddress
from eshet.settings.kinds import (
    ADDRESS,
    FLAG,
    NAME,
    PATH,
    SPAN,
    TEXTS,
    ValueKind,
    address_kind,
    number,
    one_of,
    seconds,
    whole_number,
)
from eshet.settings.table import setting
from eshet.utils import TaskStrategy
from eshet_rules.config.parameters import Parameters
from eshet_rules.config.where import Where
from eshet_rules.supervision.limits import RuleLimits

__all__ = [
    "PAGE_PORT",
    "RENAMED",
    "AuditSettings",
    "ClusterSettings",
    "Configuration",
    "LogSettings",
    "Pattern",
    "ReloadSettings",
    "RuleSettings",
    "ServerSettings",
    "StateSettings",
    "WarningSettings",
    "WatchSettings",
    "WebSettings",
    "is_meant",
]

T = TypeVar("T")

PAGE_PORT: Final = 11238
"""The default TCP port of the page."""

RENAMED: Final[Mapping[str, str]] = {
    "supervision.first_pause": "supervision.backoff_initial",
    "supervision.longest_pause": "supervision.backoff_max",
    "supervision.restarts": "supervision.max_restarts",
    "supervision.short_life": "supervision.min_uptime",
    "supervision.short_lives": "supervision.max_failed_starts",
    "log.audit": "audit.path (a file or folder) or audit.enabled (true or false)",
    "log.file_bytes": "audit.file_bytes",
    "log.total_bytes": "audit.total_bytes",
}
"""The present names of keys of earlier versions.

Those of `[supervision]` apply to the `limits` of a rule as well.
"""


def _runner_in_cluster(value: Any) -> str:
    if not isinstance(value, str) or re.fullmatch(r"[\w.-]+", value, re.ASCII) is None:
        raise ValueError
    return value


def _nats_address(value: Any) -> NatsAddress:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - as of any other invalid value
    return NatsAddress.parse(value)


def _trail_days(value: Any) -> float:
    is_none = type(value) in (int, float) and value == 0
    return 0.0 if is_none else float(_DAYS.read(value))


_MOST_BYTES: Final = (1 << 63) - 1
"""The largest number of bytes of a stream that JetStream accepts."""

_DAYS: Final[ValueKind] = number("days", 0.01, 3650)
_TRAIL_DAYS: Final = ValueKind(f"{_DAYS.allowed}, or 0", _trail_days)
_LABELS: Final = ValueKind('a list of strings, such as ["upstairs"]', TEXTS.read)
_HOST_NAME: Final = ValueKind(
    'a name of letters A-Z, digits and _.-, in quotes, such as "attic"', _runner_in_cluster
)
_NATS_ADDRESS: Final = ValueKind(
    'the address of NATS servers in quotes, such as "nats://house" or '
    '"nats://user:password@nats1,nats2:4222/PREFIX"',
    _nats_address,
)


@dataclass(frozen=True)
class ServerSettings:
    """`[server]`: the ESHET server of the rules.

    Args:
        address: address of the server, as for `--server`, or of NATS servers that join several;
            None to find or start one.
        name: name of the runner, which publishes under `/eshet_rules/NAME`; None for the name of
            the rules folder.
        max_waiting_bytes: how many bytes of inputs may wait for the rules of a module; beyond that,
            the oldest events are dropped.
    """

    address: ServerAddress | None = setting(ADDRESS, None)
    name: str | None = setting(NAME, None)
    max_waiting_bytes: int = setting(whole_number("bytes", 4096), MAX_WAITING_BYTES)


@dataclass(frozen=True)
class LogSettings:
    """`[log]`: the log on the console.

    Args:
        format: `"console"` for readable lines, or `"json"` for JSON lines.
        level: the lowest level that is shown.
        redact: globs of paths and fields; their values are written neither to the log nor to the
            audit trail.
    """

    format: str = setting(one_of("console", "json"), "console")
    level: str = setting(one_of("debug", "info", "warning", "error"), "info")
    redact: tuple[str, ...] = setting(TEXTS, ())


@dataclass(frozen=True)
class AuditSettings:
    """`[audit]`: the audit trail.

    Args:
        enabled: whether it is written.
        path: its file or folder; by default, a folder in the state folder.
        file_bytes: size at which a file of the trail is closed and the next one begun.
        total_bytes: maximum size of all files of the trail; beyond it the oldest are deleted.
    """

    enabled: bool = setting(FLAG, True)
    path: Path | None = setting(PATH, None)
    file_bytes: int = setting(whole_number("bytes", 4096), 64 * 1024 * 1024)
    total_bytes: int = setting(whole_number("bytes", 4096), 4 * 1024 * 1024 * 1024)


@dataclass(frozen=True)
class StateSettings:
    """`[state]`: state that survives restarts.

    Args:
        folder: the folder for it, created if missing; see `--state-dir` for the default.
    """

    folder: Path | None = setting(PATH, None)


@dataclass(frozen=True)
class WatchSettings:
    """`[watch]`: how the runner watches the rules folder.

    Args:
        reload: whether changed files are reloaded.
        settle: seconds without a further change before the folder is read.
        rescan: seconds after which the folder is read even if no change was reported.
        exclude: globs of files and folders of the rules folder that are not loaded.
        replay: the past time of which a saved change replays the inputs, such as `"24h"`; empty for
            no replay.
        commit: `"auto"` to apply a change when it is saved, or `"ask"` to wait for a command.
    """

    reload: bool = setting(FLAG, True)
    settle: float = setting(seconds(), 0.05)
    rescan: float = setting(seconds(), 2.0)
    exclude: tuple[str, ...] = setting(TEXTS, ())
    replay: str = setting(SPAN, "")
    commit: str = setting(one_of("auto", "ask"), "auto")


@dataclass(frozen=True)
class ReloadSettings:
    """`[reload]`: how new versions replace running ones.

    Args:
        probation: seconds within which a new version is taken back if a rule of it fails; 0 for
            never.
    """

    probation: float = setting(seconds(or_zero=True), 120.0)


@dataclass(frozen=True)
class WarningSettings:
    """`[warnings]`: warnings about paths.

    Args:
        ignore: globs of paths of which nothing is reported: neither that several rules set them,
            nor that nothing provides them.
    """

    ignore: tuple[str, ...] = setting(TEXTS, ())

    def is_ignored(self, path: str) -> bool:
        """Whether nothing is reported of a path."""
        return any(fnmatchcase(path, glob) for glob in self.ignore)


@dataclass(frozen=True)
class WebSettings:
    """`[web]`: the page of the runner.

    Args:
        enabled: whether it is served.
        address: where, as HOST:PORT.
        hosts: further names by which browsers address it.
        origins: other sites from which pages may use its API.
        tls_cert: the certificate with its chain, a PEM file; None for no TLS.
        tls_key: the key, a PEM file; None if the certificate's file contains it.
        tls_client_ca: only browsers with a certificate of this CA may connect; None for all.
        insecure: whether other machines may connect without TLS.
    """

    enabled: bool = setting(FLAG, False)
    address: str = setting(address_kind(PAGE_PORT), f"127.0.0.1:{PAGE_PORT}")
    hosts: tuple[str, ...] = setting(TEXTS, ())
    origins: tuple[str, ...] = setting(TEXTS, ())
    tls_cert: Path | None = setting(PATH, None)
    tls_key: Path | None = setting(PATH, None)
    tls_client_ca: Path | None = setting(PATH, None)
    insecure: bool = setting(FLAG, False)

    @property
    def public_url(self) -> str | None:
        """Where browsers on other machines find the page; None if they can't."""
        served = self._served
        if not served.port or _is_loopback(served.host):
            return None
        ip = _ip_in(served.host)
        host = socket.gethostname() if ip is not None and ip.is_unspecified else served.host
        name = self.hosts[0] if self.hosts else str(Address(host, served.port))
        return f"{self._scheme}://{name if ':' in name else f'{name}:{served.port}'}/"

    @property
    def local_url(self) -> str | None:
        """Where browsers on this machine find the page, if only those do; else None."""
        served = self._served
        is_behind_proxy = bool(self.hosts or self.origins)
        if not served.port or not _is_loopback(served.host) or is_behind_proxy:
            return None
        return f"{self._scheme}://{served}/"

    @property
    def _served(self) -> Address:
        return Address.parse(self.address, lowest_port=0)

    @property
    def _scheme(self) -> str:
        return "http" if self.tls_cert is None else "https"


@dataclass(frozen=True)
class ClusterSettings:
    """`[cluster]`: runners that share the modules of one rules folder.

    Args:
        name: name of the cluster, which its runners have in common; None to run all modules here.
        server: the NATS servers that join the runners; None for those of `[server]`.
        listen: where the ESHET server of this runner listens for other clients.
        runner: name of this runner in the cluster; None for the name of the machine.
        labels: properties of this runner, for `where`.
        weight: its share of the modules, relative to that of other runners.
        ttl: seconds after which others take the modules of a runner that gives no sign of life.
        rules: `"folder"` to run the rules folder of this machine, or `"published"` to keep that
            folder equal to the rules published for the cluster.
        trail_days: for how many days the records of all runners are kept in NATS; 0 to share none.
        trail_bytes: maximum size of these records; beyond it the oldest are deleted.
        where: conditions on runners, by globs of the modules that only such a runner may run, in
            the order of the file. If several globs match a module, the last one counts.
    """

    name: str | None = setting(NAME, None)
    server: NatsAddress | None = setting(_NATS_ADDRESS, None)
    listen: str = setting(address_kind(DEFAULT_PORT), f"127.0.0.1:{DEFAULT_PORT}")
    runner: str | None = setting(_HOST_NAME, None)
    labels: tuple[str, ...] = setting(_LABELS, ())
    weight: float = setting(number("", 0.01, 100), 1.0)
    ttl: float = setting(number("seconds", 10, 15), 12.0)
    rules: str = setting(one_of("folder", "published"), "folder")
    trail_days: float = setting(_TRAIL_DAYS, 7.0)
    trail_bytes: int = setting(whole_number("bytes", 1 << 20, _MOST_BYTES), 1 << 30)
    where: tuple[tuple[str, Where], ...] = ()

    def where_of(self, module: str) -> Where | None:
        """Return the condition on runners that may run a module; None if any of them may."""
        conditions = [where for glob, where in self.where if fnmatchcase(module, glob)]
        return conditions[-1] if conditions else None


def _is_loopback(host: str) -> bool:
    ip = _ip_in(host)
    return host == "localhost" or (ip is not None and ip.is_loopback)


def _ip_in(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_meant(rule: str, name: str) -> bool:
    """Whether a name that a user gives means a rule.

    Args:
        rule: the full name of the rule, such as `hall.hall_light`.
        name: the name of a rule or of a module, or a glob of either.
    """
    names = (rule, rule.rpartition(".")[0])
    return name in names or any(fnmatchcase(each, name) for each in names)


@dataclass(frozen=True)
class RuleSettings:
    """The settings of one rule.

    Args:
        disabled: why the rule is disabled; None if it is enabled.
        strategy: its strategy if it chooses none itself; None for the default one.
        limits: the limits of its resource use and restarts.
        parameters: the parameters that it gets as `config`.
    """

    disabled: str | None = None
    strategy: TaskStrategy | None = None
    limits: RuleLimits = RuleLimits()
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True)
class Pattern:
    """`[rules."GLOB"]`: settings of the rules, or of all rules of the modules, that match.

    Args:
        glob: matches full names of rules, such as `hall.hall_light`, or names of modules.
        enabled: whether the rules are enabled; None if the table does not set it.
        strategy: see `RuleSettings`; None if the table does not set it.
        limits: limits that differ from `[supervision]`, by name.
        parameters: parameters by name.
    """

    glob: str
    enabled: bool | None = None
    strategy: TaskStrategy | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, rule: str) -> bool:
        """Whether the pattern matches a rule, given by its full name, `MODULE.RULE`."""
        return is_meant(rule, self.glob)

    def limited(self, limits: RuleLimits) -> RuleLimits:
        """Return limits updated with those of this pattern; unchanged if the result is invalid."""
        try:
            return dataclasses.replace(limits, **self.limits)
        except ValueError:
            return limits


@dataclass(frozen=True)
class Configuration:
    """The whole configuration.

    Args:
        server: see `ServerSettings`.
        log: see `LogSettings`.
        audit: see `AuditSettings`.
        state: see `StateSettings`.
        watch: see `WatchSettings`.
        reload: see `ReloadSettings`.
        warnings: see `WarningSettings`.
        web: see `WebSettings`.
        cluster: see `ClusterSettings`.
        supervision: default limits of rules.
        strategy: `[strategy]`, for rules that choose none themselves.
        rules: see `Pattern`, in the order of the file. If several match a rule, the last one with
            a setting counts; each parameter and each limit is a setting of its own.
        bridges: `[bridges.NAME]` by name, with the aliases of `[alias]`.
        file: the path of the configuration file, which may not exist.
    """

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    audit: AuditSettings = AuditSettings()
    state: StateSettings = StateSettings()
    watch: WatchSettings = WatchSettings()
    reload: ReloadSettings = ReloadSettings()
    warnings: WarningSettings = WarningSettings()
    web: WebSettings = WebSettings()
    cluster: ClusterSettings = ClusterSettings()
    supervision: RuleLimits = RuleLimits()
    strategy: TaskStrategy | None = None
    rules: tuple[Pattern, ...] = ()
    bridges: Mapping[str, BridgeSettings] = field(default_factory=dict)
    file: Path = Path("eshet-rules.toml")

    @property
    def server_of_runner(self) -> ServerAddress:
        """The server on which other programs find a runner with this configuration."""
        if self.server.address is not None:
            return self.server.address
        here = Address.parse(self.cluster.listen, lowest_port=0)
        # A port that the system chooses is not known here; the tree has the runner as well.
        return here if here.port or self.cluster.server is None else self.cluster.server

    def for_rule(self, rule: str) -> RuleSettings:
        """Return the settings of a rule, given by its full name, such as `hall.hall_light`."""
        enabled, strategy = True, self.strategy
        limits = self.supervision
        parameters: dict[str, Any] = {}
        for pattern in self._matching(rule):
            enabled = enabled if pattern.enabled is None else pattern.enabled
            strategy = pattern.strategy or strategy
            limits = pattern.limited(limits)
            parameters |= pattern.parameters
        return RuleSettings(
            None if enabled else "by the configuration",
            strategy,
            limits,
            Parameters(parameters, rule=rule, file=str(self.file)),
        )

    def _matching(self, rule: str) -> Iterator[Pattern]:
        return (pattern for pattern in self.rules if pattern.matches(rule))
