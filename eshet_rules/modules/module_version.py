"""One version of a module of the rules folder, imported."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from eshet.scope import Scope
from eshet_rules.modules.discovery import Source
from eshet_rules.rule import Rule

__all__ = ["ModuleVersion"]


@dataclass(eq=False)
class ModuleVersion:
    """One version of one module, imported.

    Args:
        source: what it was made from.
        module: the module object.
        scope: what was made by its import, outside of its rules, ends with this.
        rules: those that were made by its import, by name.
        imports: the versions of other modules that it has imported, by name.
        folders: what it has imported of folders without `__init__.py`, by their names.
        is_executed: whether its import has ended; from then on what it has imported stays the same.

    Attributes:
        module_name: the name that it has in `sys.modules`.
        namespace: of the module object.
    """

    source: Source
    module: ModuleType
    scope: Scope
    rules: dict[str, Rule] = field(default_factory=dict)
    imports: dict[str, "ModuleVersion"] = field(default_factory=dict)
    folders: dict[str, ModuleType] = field(default_factory=dict)
    is_executed: bool = False
    module_name: str = field(init=False)
    namespace: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        # Its own code may set `__name__`, or give it a class that raises whatever it is asked for.
        self.module_name = self.module.__name__
        self.namespace = self.module.__dict__

    @property
    def name(self) -> str:
        """The name of the module, the same for all versions."""
        return self.source.name

    def with_imports(self) -> set["ModuleVersion"]:
        """Return this version and all that it imports, directly or not."""
        found = {self}
        if not self.imports:
            return found
        todo = [self]
        while todo:
            new = set(todo.pop().imports.values()) - found
            found |= new
            todo += new
        return found
