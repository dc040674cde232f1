"""The tree of paths, and all about one path."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from eshet.exceptions import EshetError
from eshet.paths import nearest
from eshet.unknown import Unknown
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.plain import seen
from eshet_rules.web.questions import Questions
from eshet_rules.web.tree import ANSWER_WITHIN, Node, Tree
from eshet_rules.why.merging import merge_known

__all__ = ["Paths"]

_DIRECTORY: Final = "dir"


class Paths:
    """Describes paths.

    Args:
        view: the runner.
        tree: the nodes of its server.
        questions: to the other runners of its cluster.
    """

    def __init__(self, view: RunnerView, tree: Tree, questions: Questions) -> None:
        self._view = view
        self._tree = tree
        self._questions = questions

    async def under(
        self, directory: str, search: str = "", after: str = "", limit: int = 500
    ) -> dict[str, Any]:
        """Return what is in a directory; or, with a search, the nodes below with it in their path.

        Args:
            directory: its path; empty or `/` for all.
            search: a part of the path.
            after: the path after which the answer starts.
            limit: the maximum number of entries.
        """
        base = directory.rstrip("/")
        nodes = await self._tree.nodes()
        if search:
            wanted = search.lower()
            found = [
                self._entry(node)
                for path, node in sorted(nodes.items())
                if path.startswith(f"{base}/") and wanted in path.lower()
            ]
        else:
            found = list(self._entries(base, nodes))
        page = [entry for entry in found if entry["path"] > after]
        return {
            "under": base or "/",
            "entries": page[:limit],
            "total": len(found),
            "next": page[limit - 1]["path"] if len(page) > limit else None,
        }

    async def one(self, path: str) -> dict[str, Any]:
        """Return all about one path, which need not exist; from all runners of a cluster."""
        nodes = await self._tree.nodes()
        node = nodes.get(path)
        question = self._questions.begin()
        answers = await question.ask("why", path)
        about = merge_known({self._view.name: self._view.explaining.why(path), **answers}, [])
        value, known = await self._value(path, node)
        is_used = bool(node or about["readers"] or about["writers"])
        return {
            "path": path,
            "kind": None if node is None else node.kind,
            "owner": None if node is None else node.owner,
            "value": value,
            "known": known,
            "since": self._since(path, about["inputs"].get(path)),
            "readers": about["readers"],
            "writers": about["writers"],
            "decides": self._view.redaction.value(about["drive"]),
            "is_secret": about["is_secret"],
            "nearest": [] if is_used else nearest(path, nodes),
            "cluster": self._questions.cluster,
            "gaps": question.gaps,
        }

    def _since(self, path: str, elsewhere: Mapping[str, Any] | None) -> str | None:
        """Return since when a path has its value; None if it is not known.

        Args:
            path: the path.
            elsewhere: the record of its last input at any runner of the cluster.
        """
        recorder = self._view.recorder
        if recorder is not None and path in recorder.last.inputs:
            return recorder.last.since(path)
        is_found = elsewhere is not None and elsewhere["kind"] == "state" and "trigger" in elsewhere
        return None if elsewhere is None or is_found else str(elsewhere["time"])

    async def _value(self, path: str, node: Node | None) -> tuple[Any, bool]:
        value: object = Unknown
        if node is not None and node.kind in ("state", "property") and node.owner is not None:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    value = await self._view.client.get(path)
            except (EshetError, TimeoutError):
                value = Unknown
        return seen(path, value, self._view.redaction)

    def _entries(self, base: str, nodes: Mapping[str, Node]) -> Iterator[dict[str, Any]]:
        children: dict[str, int] = {}
        leaves: dict[str, Node] = {}
        for path, node in nodes.items():
            if not path.startswith(f"{base}/"):
                continue
            name, _, rest = path[len(base) + 1 :].partition("/")
            if rest:
                children[name] = children.get(name, 0) + 1
            else:
                leaves[name] = node
        for name in sorted({*children, *leaves}):
            if name in leaves:
                yield self._entry(leaves[name])
            else:
                yield {
                    "path": f"{base}/{name}",
                    "name": name,
                    "kind": _DIRECTORY,
                    "owner": None,
                    "value": None,
                    "known": False,
                    "since": None,
                    "children": children[name],
                }

    def _entry(self, node: Node) -> dict[str, Any]:
        value, known = seen(node.path, node.value, self._view.redaction)
        recorder = self._view.recorder
        return {
            "path": node.path,
            "name": node.path.rpartition("/")[2],
            "kind": node.kind,
            "owner": node.owner,
            "value": f"{node.size:,} bytes" if node.size else value,
            "known": known or node.size > 0,
            "since": None if recorder is None else recorder.last.since(node.path),
            "children": 0,
        }
