"""One imported version of a module of the rules folder."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from eshet.scope import Scope
from eshet_rules.modules.discovery import Source
from eshet_rules.rule import Rule

__all__ = ["ModuleVersion"]


@dataclass(eq=False)
class ModuleVersion:
    """An imported version of a module.

    Args:
        source: its source.
        module: the module object.
        scope: owns everything that its import has created outside of its rules.
        rules: its rules, by name.
        imports: the versions of other modules that it has imported, by name.
        folders: the module objects of folders without `__init__.py` that it has imported, by name.
        is_executed: whether its import is complete; its imports do not change after that.
        is_checked: whether it was checked for likely mistakes.

    Attributes:
        module_name: its name in `sys.modules`.
        namespace: the namespace of the module object.
    """

    source: Source
    module: ModuleType
    scope: Scope
    rules: dict[str, Rule] = field(default_factory=dict)
    imports: dict[str, "ModuleVersion"] = field(default_factory=dict)
    folders: dict[str, ModuleType] = field(default_factory=dict)
    is_executed: bool = False
    is_checked: bool = False
    module_name: str = field(init=False)
    namespace: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        # Read these now: its code may set `__name__`, or a class with attributes that raise errors.
        self.module_name = self.module.__name__
        self.namespace = self.module.__dict__

    @property
    def name(self) -> str:
        """The name of the module, the same for all versions."""
        return self.source.name

    def with_imports(self) -> set["ModuleVersion"]:
        """Return this version and all versions that it imports, directly or indirectly."""
        found = {self}
        if not self.imports:
            return found
        todo = [self]
        while todo:
            new = set(todo.pop().imports.values()) - found
            found |= new
            todo += new
        return found
