"""What both answers say of a path itself: who provides it, or that nothing is there."""

from collections.abc import Collection

from eshet.paths import nearest

__all__ = ["nothing_there", "provider_text"]


def provider_text(owner: object) -> str:
    """Return who provides a path.

    Args:
        owner: the id of the client, as a server lists it; a number for one that has chosen none.
    """
    if owner == ["meta"]:
        return "provided by the server"
    if isinstance(owner, int):
        return f"provided by a program without a client id of its own ({owner})"
    return f"provided by {owner}"


def nothing_there(path: str, paths: Collection[str]) -> str:
    """Return that there is no such path, and what may be meant.

    Args:
        path: the path.
        paths: those that there are.
    """
    if any(each.startswith(f"{path}/") for each in paths):
        return f"this is a directory: `eshet ls -r {path}` lists what is in it"
    near = nearest(path, paths)
    hint = f"did you mean {' or '.join(near)}?" if near else "`eshet ls -r` lists all paths"
    return f"nothing provides this path; {hint}"
