"""Whatever a module does to its own module object, and to global tables: it can be replaced."""

import logging
import sys

import pytest

RULE = """
import sys, logging
from eshet import yarp
from eshet_rules import rule

@rule
async def level():
    await yarp.state_register("/odd/level", yarp.Value({level}))

{body}
"""

OF_CLASS = """
class Kind(type(sys)):
    def {method}(self, *args):
        raise KeyboardInterrupt
sys.modules[__name__].__class__ = Kind
"""

BODIES = {
    "a name that is no text": "__name__ = 5",
    "a name that has no hash": "__name__ = []",
    "the name of another": "__name__ = 'sys'",
    "no name": "del __name__",
    "no builtins": "__builtins__ = None",
    "no spec": "__spec__ = __loader__ = __package__ = None",
    "a key that is no text among modules": "sys.modules[5] = sys",
    "a key that is no text among loggers": "logging.root.manager.loggerDict[5] = 5",
    "no finders": "sys.meta_path.clear()",
    "not among modules": "del sys.modules[__name__]",
    **{
        f"a class whose {method} raises": OF_CLASS.format(method=method)
        for method in ("__getattribute__", "__getattr__", "__setattr__", "__repr__", "__hash__")
    },
}


@pytest.fixture(autouse=True)
def tables():
    """Global tables as they were before."""
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    sys.modules.pop(5, None)
    logging.root.manager.loggerDict.pop(5, None)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_an_odd_module_is_replaced_and_removed_as_others_are(house, body):
    house.write_level("good", 1)
    house.write("odd.py", RULE.format(level=1, body=body))
    assert await house.update()
    before = set(sys.modules)
    for level in (2, 3):
        house.write("odd.py", RULE.format(level=level, body=body))
        assert await house.update()
        assert await house.viewer.get("/odd/level") == level
    assert len(set(sys.modules)) == len(before)
    house.folder.remove("odd.py")
    assert await house.update()
    house.write_level("good", 2)
    assert await house.update()
    assert await house.viewer.get("/good/level") == 2


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_an_odd_helper_is_replaced_or_refused_for_its_importer_only(house, body):
    house.write_level("good", 1)
    uses = "import _odd\nfrom eshet_rules import rule\n@rule\nasync def uses(): ...\n"
    house.write("uses.py", uses)
    for level in (1, 2):
        house.write("_odd.py", RULE.format(level=level, body=body))
        house.write_level("good", level)
        await house.update()
        assert await house.viewer.get("/good/level") == level
    house.write("uses.py", uses.replace("import _odd", "import sys"))
    house.folder.remove("_odd.py")
    assert await house.update()
    assert [each for each in sys.modules if str(each).startswith("_odd@")] == []
