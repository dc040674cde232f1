"""Records of the log: the configuration, commands and requests."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "CommitRequested",
    "ConfigurationInvalid",
    "ConfigurationNeedsRestart",
    "ConfigurationReloaded",
    "ConfiguredRuleUnknown",
    "DisableRequested",
    "DrainRequested",
    "EnableRequested",
    "LogNotShown",
    "PageActed",
    "PageServed",
    "ParametersUnused",
    "PublishingAvailable",
    "PublishingUnavailable",
    "ReleaseRequested",
    "ReloadRequested",
    "RequestFailed",
    "RequestRefused",
    "RestartRequested",
]


@event("config.invalid", "the configuration is invalid, kept the old one", level="error")
class ConfigurationInvalid(Record, kw_only=True):
    """The configuration file has changed, and can't be used."""

    file: Annotated[str, Meta(description="the configuration file")]
    line: Annotated[int | None, Meta(description="line number")] = None
    key: Annotated[str | None, Meta(description="the key with the mistake")] = None
    error: Annotated[str, Meta(description="the mistake, and the allowed values")]


@event("config.reloaded", "configuration reloaded")
class ConfigurationReloaded(Record, kw_only=True):
    """The configuration file has changed, and the changes were applied."""

    modules: Annotated[list[str], Meta(description="the modules that are reloaded for it")]


@event("config.needs_restart", "a part of the configuration needs a restart", level="warning")
class ConfigurationNeedsRestart(Record, kw_only=True):
    """Some changes of the configuration only take effect when the runner is restarted."""

    tables: Annotated[list[str], Meta(description="the changed tables")]


@event("config.unknown_rule", "the configuration names a rule that does not exist", level="warning")
class ConfiguredRuleUnknown(Record, kw_only=True):
    """A table of the configuration matches no rule."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    near: Annotated[Any, Meta(description="a similar name")] = None


@event("config.unused_parameters", "no rule asks for these parameters", level="warning")
class ParametersUnused(Record, kw_only=True):
    """A table has parameters, but the rules that it matches have no argument named `config`."""

    name: Annotated[str, Meta(description="the name or glob of the table")]
    file: Annotated[str, Meta(description="the configuration file")]
    parameters: Annotated[list[str], Meta(description="names of the parameters")]
    advice: Annotated[str, Meta(description="what to do")]


@event("control.reload_requested", "reload requested")
class ReloadRequested(Record, kw_only=True):
    """A command or signal asked the runner to reload modules."""

    modules: Annotated[list[str], Meta(description="the modules")]


@event("control.commit_requested", "commit requested")
class CommitRequested(Record, kw_only=True):
    """A command applies changes that were waiting."""

    modules: Annotated[list[str], Meta(description="the modules")]


@event("control.release_requested", "release requested")
class ReleaseRequested(Record, kw_only=True):
    """A command asked the runner to end the overrides of paths."""

    paths: Annotated[list[str], Meta(description="the paths")]


@event("control.drain_requested", "drain requested")
class DrainRequested(Record, kw_only=True):
    """A command asked the runner to give all modules to other runners, or to take some again."""

    undo: Annotated[bool, Meta(description="whether it may run modules again")]


class _RulesRequest(Record, kw_only=True):
    """A request about rules."""

    rules: Annotated[list[str], Meta(description="the rules")]


@event("control.restart_requested", "restart requested")
class RestartRequested(_RulesRequest, kw_only=True):
    """A command asks for a restart of rules."""


@event("control.enable_requested", "enable requested")
class EnableRequested(_RulesRequest, kw_only=True):
    """A command enables rules."""


@event("control.disable_requested", "disable requested")
class DisableRequested(_RulesRequest, kw_only=True):
    """A command disables rules."""


class _Request(Record, kw_only=True):
    """A request that was not carried out."""

    doing: Annotated[str | None, Meta(description="the operation that failed")] = None
    error: Annotated[str | UnsetType, Meta(description="the error")] = UNSET
    traceback: Annotated[str | None, Meta(description="traceback within the runner")] = None


@event("control.request_refused", "request refused", level="warning")
class RequestRefused(_Request, kw_only=True):
    """A command asked for something impossible."""


@event("page.acted", "request on the page")
class PageActed(Record, kw_only=True):
    """Somebody has done something on the page, or by its API."""

    action: Annotated[
        str,
        Meta(description="`set`, `call`, `release`, `roll back`, or a command such as `disable`"),
    ]
    subject: Annotated[str, Meta(description="the path, rule, module or version")]
    by: Annotated[str, Meta(description="the name of the token")]
    error: Annotated[str | None, Meta(description="why it failed")] = None


@event("page.served", "page")
class PageServed(Record, kw_only=True):
    """The page of the runner can be visited."""

    url: Annotated[str, Meta(description="its address")]


@event("control.request_failed", "request failed", level="error")
class RequestFailed(_Request, kw_only=True):
    """A command could not be carried out."""


@event("publisher.unavailable", "can't publish the state of the rules", level="error")
class PublishingUnavailable(Record, kw_only=True):
    """The runner can't publish the states of the rules. It tries again every minute."""

    path: Annotated[str, Meta(description="the path to publish under")]
    error: Annotated[str, Meta(description="the error")]
    advice: Annotated[str | None, Meta(description="what to do")] = None


@event("publisher.available", "publishing the state of the rules")
class PublishingAvailable(Record, kw_only=True):
    """The states of the rules are published, after this had failed before."""

    path: Annotated[str, Meta(description="the path that they are published under")]


@event("log.not_shown", "can't show the log", level="error")
class LogNotShown(Record, kw_only=True):
    """The terminal or pipe of the log accepts no lines. Dropped lines are only in the trail."""

    error: Annotated[str, Meta(description="the reason")]
