"""The libraries of the page are those of npm, unchanged, each with its licence."""

import hashlib
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "eshet_rules" / "web" / "static"
HERE = Path(__file__).parent / "vendor"

# Each file with its place in npm, and its SHA-512.
FILES = {
    STATIC / "vendor" / "htm-preact.js": (
        "htm@3.1.1/preact/standalone.module.js",
        "023016453045a09419cc89c26a5daaca0116171baf7d0b4991b92f14065a66ff"
        "72202c30c7191fa2ced3ecbe039d1eaabc8b2083ed67b23ca8722e4d48ac8fdc",
    ),
    STATIC / "vendor" / "uplot.js": (
        "uplot@1.6.32/dist/uPlot.iife.min.js",
        "8df9b8c2bc60abbdd95c5cf260f46681f41def2623b6c1f9ed2cdf823a62797e"
        "2b8277c700c01926043560b4ec73a1ce5fed6d9c68e7905b9eadb73ca08da626",
    ),
    STATIC / "vendor" / "uplot.css": (
        "uplot@1.6.32/dist/uPlot.min.css",
        "c57618bc6a0fa8e8e13309299315930efec7be5cab93212acdce14485aff66d0"
        "580bb7a4944dc33410dc72a88c8f657344a49f7d9cdea9545c91d633271f6a7d",
    ),
    STATIC / "vendor" / "dagre.js": (
        "@dagrejs/dagre@3.1.3/dist/dagre.esm.js",
        "ad772ff7142361c70e54a982233cb0fe98c7c61b6e03f56739a1c83fb578b6d5"
        "65e293409a7a58fa5f0f4bab10c79c384e748b9f324c184491336ee46e2bc877",
    ),
    HERE / "axe.min.js": (
        "axe-core@4.14.1/axe.min.js",
        "e63e659f9806d7ae5bd40899043b0871a5062c5442b01b3f1a3edf5eaf50bf5c"
        "3a7104a72463293b4ad1b77c661a0d4e40e850dec89de9d6ece70a8c13a9af17",
    ),
}

LICENCES = {
    "htm-preact.js": {"htm.txt": "Apache License", "preact.txt": "The MIT License"},
    "uplot.js": {"uplot.txt": "The MIT License"},
    "uplot.css": {"uplot.txt": "The MIT License"},
    "dagre.js": {"dagre.txt": "Copyright (c) 2012-2014 Chris Pettitt"},
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_library_is_that_of_npm(file):
    where, digest = FILES[file]

    assert hashlib.sha512(file.read_bytes()).hexdigest() == digest, f"not the file of npm: {where}"


def test_every_library_is_listed_here():
    found = {*(STATIC / "vendor").iterdir(), *HERE.glob("*.js")}

    assert found == FILES.keys()


def test_each_library_of_the_page_has_its_licence_beside_it():
    names = {file.name for file in FILES if file.parent.parent == STATIC}
    assert names == LICENCES.keys()
    for texts in LICENCES.values():
        for name, words in texts.items():
            assert words in (STATIC / "LICENSES" / name).read_text("utf-8")


def test_what_only_tests_use_has_its_licence_and_is_not_in_the_package():
    assert "Mozilla Public License" in (HERE / "LICENSE").read_text("utf-8")
    assert not list(STATIC.rglob("axe*"))
