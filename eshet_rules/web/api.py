"""The API of the page, `/api/1`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from eshet.gateway.tokens import Scope
from eshet_rules.audit.query import ENDLESS, Filter
from eshet_rules.graph.drawing import Drawing
from eshet_rules.runner.view import RunnerView
from eshet_rules.web import schema
from eshet_rules.web.actions import COMMANDS, Actions
from eshet_rules.web.devices import Devices
from eshet_rules.web.endpoints import ROOT, Arguments, Endpoint, Parameter, answering
from eshet_rules.web.explanations import Explanations
from eshet_rules.web.history import History
from eshet_rules.web.neighbours import around, limited, plain
from eshet_rules.web.other_runners import OtherRunners
from eshet_rules.web.overview import Overview
from eshet_rules.web.paths import Paths
from eshet_rules.web.questions import Questions
from eshet_rules.web.rules import Rules
from eshet_rules.web.silences import Silences
from eshet_rules.web.trail import Trail
from eshet_rules.web.tree import Tree
from eshet_rules.web.versions import Versions

__all__ = ["Api"]

_INTEGER: Final = {"type": "integer", "minimum": 1, "maximum": 500}
_ANY: Final[Mapping[str, Any]] = {}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}

_AFTER: Final = (
    Parameter("after", "the `next` of the page before"),
    Parameter("limit", "maximum number of rows", _INTEGER),
)
_PATH: Final = Parameter("path", "the path, such as `/hall/light`", required=True)
_FILTER: Final = (
    Parameter("rule", "the name of a rule, or a glob"),
    Parameter("path", "a path, or a glob"),
    Parameter("event", "the name of an event, such as `output.set`"),
    Parameter("cause", "the id of a cause"),
    Parameter("from", "the earliest time", _TIME),
    Parameter("to", "the end of the time", _TIME),
    Parameter("before", "the `next` of the page before", _TIME),
    Parameter("limit", "maximum number of records", _INTEGER),
)


class Api:
    """The endpoints of a runner.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view
        self.tree: Final = Tree(view.client)
        self.trail: Final = Trail(view)
        self.rules: Final = Rules(view, self.tree, self.trail)
        self._questions = Questions(view)
        self._others = OtherRunners(view, self._questions)
        self._actions = Actions(view, self._others)
        self._devices = Devices(view)
        self._explanations = Explanations(view, self._questions, self._others)
        self._history = History(view)
        self.silences: Final = Silences(view)
        self._overview = Overview(view, self.tree, self.silences, self._others)
        self._paths = Paths(view, self.tree, self._questions)
        self._versions = Versions(view)

    async def close(self) -> None:
        """Cancel the actions that are not completed, and the questions that are not answered."""
        await self._actions.close()
        await self._questions.close()

    def routes(self, permit: Callable[[web.Request, Scope], str]) -> list[web.RouteDef]:
        """Return the routes; see `answering`."""
        return [
            web.route(each.method, f"{ROOT}{each.path}", answering(each, permit))
            for each in self.endpoints()
        ]

    def endpoints(self) -> list[Endpoint]:
        """Return all endpoints."""
        return [*self._queries(), *self._commands()]

    def _queries(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET",
                "/overview",
                "The state of the house, its problems first",
                lambda _: self._overview.now(),
                schema.OverviewAnswer,
            ),
            Endpoint(
                "GET",
                "/cluster",
                "The runners of the cluster, and the rules of the others",
                lambda given: self._others.now(given.glob("search"), given.text("state")),
                schema.ClusterAnswer,
                (
                    Parameter("search", "a part of a name or path"),
                    Parameter("state", "the state of the rules, such as `failed`"),
                ),
            ),
            Endpoint(
                "GET",
                "/cluster/rules/{rule}",
                "A rule of another runner of the cluster, and that runner",
                lambda given: self._others.rule(given.required("rule")),
                schema.RemoteRuleAnswer,
            ),
            Endpoint(
                "GET",
                "/rules",
                "Rules, in the order of their names",
                self._all_rules,
                schema.RulesAnswer,
                (
                    Parameter("search", "a part of a name or path"),
                    Parameter("state", "the state of the rules, such as `failed`"),
                    *_AFTER,
                ),
            ),
            Endpoint(
                "GET",
                "/rules/{rule}",
                "All about one rule",
                lambda given: self.rules.one(given.required("rule")),
                schema.RuleAnswer,
            ),
            Endpoint(
                "GET",
                "/rules/{rule}/graph",
                "The paths and rules around a rule, or its inside",
                self._rule_graph,
                schema.GraphAnswer,
                (Parameter("inside", "`1` for the Values and Events in the rule"),),
            ),
            Endpoint(
                "GET",
                "/paths",
                "The content of a directory, or the paths with a text in them",
                self._all_paths,
                schema.PathsAnswer,
                (
                    Parameter("under", "the directory"),
                    Parameter("search", "a part of the path"),
                    *_AFTER,
                ),
            ),
            Endpoint(
                "GET",
                "/path",
                "All about one path",
                lambda given: self._paths.one(given.required("path")),
                schema.PathAnswer,
                (_PATH,),
            ),
            Endpoint(
                "GET",
                "/path/graph",
                "The paths and rules around a path",
                self._path_graph,
                schema.GraphAnswer,
                (_PATH,),
            ),
            Endpoint(
                "GET",
                "/history",
                "Past values of a path",
                self._past,
                schema.HistoryAnswer,
                (
                    _PATH,
                    Parameter("from", "the beginning", _TIME),
                    Parameter("to", "the end", _TIME),
                ),
            ),
            Endpoint(
                "GET",
                "/why",
                "Why a path has its value",
                self._why,
                schema.ExplanationAnswer,
                (_PATH, Parameter("at", "the time of the value; by default now", _TIME)),
            ),
            Endpoint(
                "GET",
                "/why-not",
                "What would have to change for another value",
                lambda given: self._explanations.why_not(given.required("path"), given.json("is")),
                schema.ExplanationAnswer,
                (_PATH, Parameter("is", "the wanted value, as JSON")),
            ),
            Endpoint(
                "GET",
                "/trail",
                "The newest records of the audit trail",
                self._records,
                schema.TrailAnswer,
                _FILTER,
            ),
            Endpoint(
                "GET",
                "/bridges",
                "Bridges, and their devices",
                lambda _: self._devices.now(),
                schema.BridgesAnswer,
            ),
            Endpoint(
                "GET",
                "/versions",
                "Kept versions of modules",
                lambda given: self._versions.all(given.text("module")),
                schema.VersionsAnswer,
                (Parameter("module", "only of this module"),),
            ),
            Endpoint(
                "GET",
                "/versions/{module}/diff",
                "The differences of two versions",
                lambda given: self._versions.diff(
                    given.required("module"), given.required("from"), given.required("to")
                ),
                schema.DiffAnswer,
                (
                    Parameter("from", "a version", required=True),
                    Parameter("to", "another version", required=True),
                ),
            ),
            Endpoint(
                "GET",
                "/versions/{module}/{version}",
                "The source of a version",
                lambda given: self._versions.text(
                    given.required("module"), given.required("version")
                ),
                schema.VersionAnswer,
            ),
        ]

    def _commands(self) -> list[Endpoint]:
        return [
            *(self._command(kind, name) for kind in ("rule", "module") for name in COMMANDS),
            Endpoint(
                "POST",
                "/commit",
                "Apply changes that wait",
                lambda given: self._actions.command("commit", given.texts("modules"), given.by),
                schema.DoneAnswer,
                (Parameter("modules", "names of modules; by default all", _TEXTS),),
            ),
            Endpoint(
                "POST",
                "/set",
                "Set a state or property",
                lambda given: self._actions.set(
                    given.required("path"), given.value("value"), given.by
                ),
                schema.ResultAnswer,
                (_PATH, Parameter("value", "the value", _ANY, required=True)),
            ),
            Endpoint(
                "POST",
                "/call",
                "Call an action",
                self._call,
                schema.ResultAnswer,
                (
                    _PATH,
                    Parameter("arguments", "its arguments", {"type": "array", "items": {}}),
                ),
            ),
            Endpoint(
                "POST",
                "/release",
                "End the override of a path",
                lambda given: self._actions.release(given.required("path"), given.by),
                schema.DoneAnswer,
                (_PATH,),
            ),
            Endpoint(
                "POST",
                "/versions/{module}/rollback",
                "Run an earlier version until the file changes",
                lambda given: self._actions.roll_back(
                    given.required("module"),
                    given.required("version"),
                    given.text("why"),
                    given.by,
                ),
                schema.DoneAnswer,
                (
                    Parameter("version", "the version", required=True),
                    Parameter("why", "the reason, for the trail"),
                ),
            ),
        ]

    def _command(self, kind: str, name: str) -> Endpoint:
        return Endpoint(
            "POST",
            f"/{kind}s/{{{kind}}}/{name}",
            f"{name.capitalize()} the {kind}",
            lambda given: self._actions.command(name, [given.required(kind)], given.by),
            schema.DoneAnswer,
        )

    async def _all_rules(self, given: Arguments) -> Mapping[str, Any]:
        return self.rules.all(
            given.glob("search"), given.text("state"), given.text("after"), given.limit()
        )

    async def _all_paths(self, given: Arguments) -> Mapping[str, Any]:
        return await self._paths.under(
            given.text("under"), given.text("search"), given.text("after"), given.limit()
        )

    async def _rule_graph(self, given: Arguments) -> Mapping[str, Any]:
        rule = given.required("rule")
        self.rules.find(rule)
        if given.text("inside") == "1":
            return plain(*limited(Drawing.restored(self._view.explaining.inside(rule))))
        return plain(*around(rule, await self._plain_reports()))

    async def _path_graph(self, given: Arguments) -> Mapping[str, Any]:
        return plain(*around(given.required("path"), await self._plain_reports()))

    async def _plain_reports(self) -> list[Mapping[str, Any]]:
        """Return the reports on all rules: those of this runner, and of the others."""
        own = [report.plain() for report in self._view.reloader.reports()]
        return [*own, *await self._others.rules()]

    async def _past(self, given: Arguments) -> Mapping[str, Any]:
        return await self._history.of(
            given.required("path"), given.stamp("from", ""), given.stamp("to", ENDLESS)
        )

    async def _why(self, given: Arguments) -> Mapping[str, Any]:
        return await self._explanations.why(given.required("path"), given.moment("at"))

    async def _records(self, given: Arguments) -> Mapping[str, Any]:
        wanted = Filter(
            rule=given.glob("rule") or None,
            path=given.glob("path") or None,
            event=given.glob("event") or None,
            cause=given.glob("cause") or None,
            since=given.stamp("from", ""),
            until=min(given.stamp("to", ENDLESS), given.stamp("before", ENDLESS)),
        )
        return await self.trail.newest(wanted, given.limit())

    async def _call(self, given: Arguments) -> Mapping[str, Any]:
        arguments = given.value("arguments")
        if not isinstance(arguments, list):
            arguments = [arguments]
        return await self._actions.call(given.required("path"), arguments, given.by)
