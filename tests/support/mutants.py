"""Change the source in small ways, one at a time: do the tests of that folder notice?

    python tests/support/mutants.py [--count 100] [--seed N] [--only TEXT]

A mutant that no test notices is a change of behaviour that the tests would let pass, unless it
changes nothing that can be observed. It runs in a copy of the project, against the tests that
mirror the folder of its module. Not part of `make test`: it takes about ten seconds for each.

The exit code is 1 if fewer than 90 % were noticed.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]

MODULES: Final = (
    "eshet/bridges/homeassistant/bridge.py",
    "eshet/bridges/homeassistant/entities.py",
    "eshet/bridges/homeassistant/services.py",
    "eshet/bridges/mqtt/connection.py",
    "eshet/bridges/mqtt/discovery/appliances.py",
    "eshet/bridges/mqtt/discovery/entity.py",
    "eshet/bridges/mqtt/discovery/lights.py",
    "eshet/bridges/mqtt/discovery/reader.py",
    "eshet/bridges/mqtt/exposes.py",
    "eshet/bridges/mqtt/inbox.py",
    "eshet/bridges/mqtt/receiver.py",
    "eshet/bridges/mqtt/shelly_rpc.py",
    "eshet/bridges/mqtt/tasmota.py",
    "eshet/bridges/mqtt/zigbee2mqtt.py",
    "eshet/client/connection_manager.py",
    "eshet/client/registrations.py",
    "eshet/client/session.py",
    "eshet/client/view.py",
    "eshet/reactive/conditions/arithmetic.py",
    "eshet/reactive/conditions/choices.py",
    "eshet/reactive/conditions/comparisons.py",
    "eshet/reactive/conditions/timers.py",
    "eshet/reactive/core/graph.py",
    "eshet/reactive/core/transaction.py",
    "eshet/reactive/handover/handover.py",
    "eshet/reactive/handover/matching.py",
    "eshet/reactive/time/fsm.py",
    "eshet/reactive/time/nodes.py",
    "eshet/server/router.py",
    "eshet/yarp/driving/arbiter.py",
    "eshet/yarp/driving/corrections.py",
    "eshet/yarp/driving/sent_values.py",
    "eshet_rules/audit/query.py",
    "eshet_rules/audit/trail.py",
    "eshet_rules/modules/importer.py",
    "eshet_rules/reload/checkpoint.py",
    "eshet_rules/reload/module_instance.py",
    "eshet_rules/reload/reloader.py",
    "eshet_rules/supervision/guard/quarantine.py",
    "eshet_rules/supervision/supervised_rule.py",
)

AIM: Final = 0.9

TEST_TIMEOUT: Final = 20
"""Seconds after which a test that does not end has noticed a mutant."""

TIMEOUT: Final = 180.0
"""Seconds after which all tests together have noticed a mutant by not ending."""

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}

_SYMMETRICAL: Final = frozenset({"is_same", "matches", "max", "min"})
"""Functions whose first two arguments may be swapped."""

_SHORT_CUTS: Final = {
    "each.height == height_above": "False",
    "len(emissions) > 1": "True",
    "len(followers) > 1": "True",
    "node.callbacks": "True",
    "node.height != height": "True",
    "not self._waiting": "False",
    "self._heights": "True",
    "self.more and self.callbacks": "True",
    "self.pending_subscriptions": "True",
    "self.transient": "True",
    "source.callbacks": "True",
    "subscription.scope is scope": "False",
    "to_notify": "True",
}
"""Conditions of `reactive/core` that choose a faster way, and the answer for the general way.

With that answer the result is the same; the opposite one is a mutant like any other.
"""


class Mutant(NamedTuple):
    """One change of one file.

    Args:
        path: the file, relative to the project.
        node: the place in its source.
        kind: what is changed.
        text: the source that replaces it.
    """

    path: str
    node: ast.expr | ast.stmt
    kind: str
    text: str

    def apply(self, source: str) -> str:
        """Return the changed source."""
        lines = source.encode().splitlines(keepends=True)
        start = sum(map(len, lines[: self.node.lineno - 1])) + self.node.col_offset
        last, offset = self.node.end_lineno or 0, self.node.end_col_offset or 0
        end = sum(map(len, lines[: last - 1])) + offset
        data = b"".join(lines)
        return (data[:start] + self.text.encode() + data[end:]).decode()

    def describe(self, source: str) -> str:
        """Return the place and the change, for a person."""
        before = " ".join((ast.get_source_segment(source, self.node) or "").split())
        return f"{self.path}:{self.node.lineno}  {self.kind}: {before[:70]} -> {self.text[:70]}"


class _Collector(ast.NodeVisitor):
    """Collects the mutants of one file, as far as they change what the code does."""

    def __init__(self, path: str) -> None:
        self.found: list[Mutant] = []
        self._path = path

    def _add(self, node: ast.expr | ast.stmt, kind: str, text: str) -> None:
        self.found.append(Mutant(self._path, node, kind, text))

    def _add_changed(self, node: ast.expr, kind: str, **changed: object) -> None:
        fields = {name: getattr(node, name) for name in node._fields} | changed
        self._add(node, kind, f"({ast.unparse(type(node)(**fields))})")

    # Annotations, names to export, texts and representations change nothing that a test should see;
    # nor do options of a class (`slots=True`) or what only a base class without a user would do.

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in node.body:
            self.visit(each)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        for each in [*node.defaults, *filter(None, node.kw_defaults)]:
            self.visit(each)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name == "__repr__":
            return
        self.visit(node.args)
        for each in node.body:
            self.visit(each)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [each.id for each in node.targets if isinstance(each, ast.Name)]
        if "__all__" in names:
            return
        if any(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
            self._add(node, "assignment dropped", "pass")
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._force(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._force(node.test)
        self.generic_visit(node)

    def _force(self, test: ast.expr) -> None:
        general = _SHORT_CUTS.get(ast.unparse(test)) if "/core/" in self._path else None
        for answer in ("True", "False"):
            if answer != general:
                self._add(test, "condition forced", answer)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._add(node, "statement dropped", "pass")
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is None or ast.unparse(node.exc) != "NotImplementedError":
            self._add(node, "raise dropped", "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            if ast.unparse(node.value) not in ("None", "False"):
                self._add(node, "None returned", "return None")
            self.visit(node.value)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "continue dropped", "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "break changed", "continue")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        # Not widened: nothing but an error that the code never raises there would show it.
        if node.type is not None:
            is_all = ast.unparse(node.type) == "BaseException"
            self._add(node.type, "except narrowed", "Exception" if is_all else "()")
        for each in node.body:
            self.visit(each)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for each in node.ifs:
            self._add(each, "filter dropped", "True")
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is None:
            self._add(
                node.context_expr, "context dropped", "__import__('contextlib').nullcontext()"
            )
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        first = _COMPARISONS[type(node.ops[0])]()
        self._add_changed(node, "comparison", ops=[first, *node.ops[1:]])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._add_changed(node, "and/or", op=other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, "not removed", f"({ast.unparse(node.operand)})")
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            self._add(node, "number", "0")  # of all negative numbers, -1 often means "none"
        else:
            self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if (other := _OPERATORS.get(type(node.op))) is not None:
            self._add_changed(node, "operator", op=other())
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        positional = [each for each in node.args if not isinstance(each, ast.Starred)]
        if ast.unparse(node.func) in _SYMMETRICAL:
            pass
        elif len(positional) >= 2 and len(positional) == len(node.args):
            first, second, *rest = node.args
            if ast.unparse(first) != ast.unparse(second):
                self._add_changed(node, "arguments swapped", args=[second, first, *rest])
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # of `zip`: the lengths agree
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add(node, "bool flipped", f"({not value})")
        elif isinstance(value, int):
            self._add(node, "number", f"({value - 1})")
            self._add(node, "number", f"({value + 1})")
        elif isinstance(value, float):
            self._add(node, "number", f"({value * 2 or 1.0})")


def mutants_of(path: str) -> list[Mutant]:
    """Return all mutants of a file, relative to the project, that can be compiled."""
    source = (ROOT / path).read_text()
    collector = _Collector(path)
    collector.visit(ast.parse(source))
    return [each for each in collector.found if _compiles(each.apply(source))]


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def tests_of(path: str) -> list[str]:
    """Return the tests that mirror the folder of a module, those of the module first."""
    folder = ROOT / "tests" / Path(path).parent
    own = folder / f"test_{Path(path).stem}.py"
    rest = [each for each in sorted(folder.glob("test_*.py")) if each != own]
    files = [own, *rest] if own.exists() else rest
    return [str(each.relative_to(ROOT)) for each in files]


class Copy:
    """A copy of the project, to run mutants in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # With the bytecode, which saves seconds: that of a changed file is out of date and ignored.
        ignore = shutil.ignore_patterns(".venv", ".git", "build")
        shutil.copytree(ROOT, folder, ignore=ignore)

    def is_noticed(self, mutant: Mutant) -> bool:
        """Whether a test fails with this mutant."""
        file = self._folder / mutant.path
        source = file.read_text()
        file.write_text(mutant.apply(source))
        try:
            return not self.passes(mutant.path)
        finally:
            file.write_text(source)

    def passes(self, path: str) -> bool:
        """Whether the tests that mirror the folder of a module pass in time."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        options += ["-o", f"timeout={TEST_TIMEOUT}"]
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-m", "pytest", *options, *tests_of(path)],
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(self._folder),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def results(sample: list[Mutant], folder: Path, jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Run the mutants of a sample, and yield whether each is noticed.

    Raises:
        SystemExit: tests fail without any change, so that they could not notice one.
    """
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(jobs):
        copy = Copy(folder / str(number))
        copies.put(copy)
    for path in {str(Path(each.path).parent): each.path for each in sample}.values():
        if not copy.passes(path):
            raise SystemExit(f"the tests of {path} fail without any change: repair them first")

    def run(mutant: Mutant) -> tuple[Mutant, bool]:
        copy = copies.get()
        try:
            return mutant, copy.is_noticed(mutant)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(jobs) as executor:
        yield from executor.map(run, sample)


def main() -> int:
    """Run a sample of mutants, and print those that were not noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="how many (100)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="only modules whose path contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    modules = [path for path in MODULES if options.only in path]
    everything = [mutant for path in modules for mutant in mutants_of(path)]
    choose = random.Random(options.seed)  # noqa: S311 - to be repeated, not to be secret
    sample = choose.sample(everything, min(options.count, len(everything)))
    print(f"{len(sample)} of {len(everything)} mutants, seed {options.seed}", flush=True)
    noticed = 0
    by_folder: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        for mutant, is_noticed in results(sample, Path(name), options.jobs):
            noticed += is_noticed
            by_folder.setdefault(str(Path(mutant.path).parent), []).append(is_noticed)
            if not is_noticed:
                print(mutant.describe((ROOT / mutant.path).read_text()), flush=True)
    for folder, each in sorted(by_folder.items()):
        print(f"{folder}: {sum(each)} of {len(each)}")
    share = noticed / len(sample)
    print(f"{noticed} of {len(sample)} noticed, {share:.0%} (aim: {AIM:.0%})")
    return 0 if share >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
