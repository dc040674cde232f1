"""The files of the page, read once; their URLs have a hash, so that browsers may keep them."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from aiohttp import web

from eshet.gateway.access import open_to_all
from eshet.gateway.answers import HttpError

__all__ = ["StaticFiles"]

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_INDEX: Final = "index.html"
_PLACEHOLDER: Final = b"/HASH/"


@dataclass(frozen=True)
class _File:
    data: bytes
    kind: str


class StaticFiles:
    """Serves the files by their names: none but those of the package, whatever a path contains."""

    def __init__(self) -> None:
        contents = dict(_read(files("eshet_rules.web") / "static", ""))
        digest = hashlib.sha256()
        for name, data in sorted(contents.items()):
            digest.update(f"{name} {len(data)}\n".encode() + data)
        self._hash: Final = digest.hexdigest()[:16]
        index = contents.pop(_INDEX).replace(_PLACEHOLDER, f"/{self._hash}/".encode())
        self._index: Final = index
        self._files: Final = {
            name: _File(data, _TYPES[PurePosixPath(name).suffix]) for name, data in contents.items()
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/", self._get_index), web.get("/static/{hash}/{name:.+}", self._get)]

    @open_to_all  # so that a person can sign in
    async def _get_index(self, request: web.Request) -> web.Response:
        return web.Response(body=self._index, content_type="text/html", charset="utf-8")

    @open_to_all
    async def _get(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None or request.match_info["hash"] != self._hash:
            raise HttpError(404, "not_found", "there is no such file: load the page again")
        return web.Response(
            body=file.data,
            content_type=file.kind,
            charset="utf-8",
            headers={"Cache-Control": _FOREVER},
        )


def _read(folder: Traversable, base: str) -> list[tuple[str, bytes]]:
    found = []
    for each in folder.iterdir():
        name = f"{base}{each.name}"
        if each.is_dir():
            found += _read(each, f"{name}/")
        elif PurePosixPath(name).suffix in _TYPES:
            found.append((name, each.read_bytes()))
    return found
