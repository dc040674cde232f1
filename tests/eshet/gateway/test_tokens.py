"""Tokens: made once, kept as hashes in a private file."""

import json
import logging
import os
import stat
from pathlib import Path

import pytest

from eshet.gateway.tokens import Scope, TokenFile, TokenFileError

NOW = 1_790_000_000.5


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


def test_a_token_has_its_scope(tokens: TokenFile) -> None:
    phone, screen = (
        tokens.add("phone", Scope.ACT, NOW),
        tokens.add("screen", Scope.READ, NOW),
    )
    assert tokens.check(phone) is Scope.ACT
    assert tokens.check(screen) is Scope.READ
    found = tokens.find(phone)
    assert found is not None
    assert (found.name, found.created) == ("phone", "2026-09-21T14:13:20Z")


def test_acting_includes_reading_only() -> None:
    assert Scope.ACT.includes(Scope.READ)
    assert Scope.ACT.includes(Scope.ACT)
    assert not Scope.READ.includes(Scope.ACT)


@pytest.mark.parametrize("text", ["", "eshet_", "x" * 100_000, "\ud800", "ä"])
def test_other_texts_are_not_accepted(tokens: TokenFile, text: str) -> None:
    tokens.add("phone", Scope.ACT, NOW)
    assert tokens.check(text) is None


def test_the_hash_is_not_accepted(tokens: TokenFile) -> None:
    tokens.add("phone", Scope.ACT, NOW)
    [token] = tokens.list()
    assert tokens.check(token.sha256) is None


def test_without_a_file_there_are_no_tokens(tokens: TokenFile) -> None:
    assert tokens.check("eshet_x") is None
    assert tokens.list() == []


def test_the_file_is_private_and_has_no_token(tokens: TokenFile) -> None:
    text = tokens.add("phone", Scope.ACT, NOW)
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert text not in tokens.path.read_text()
    assert len(text) > 40


def test_tokens_differ(tokens: TokenFile) -> None:
    assert len({tokens.add(f"t{number}", Scope.READ, NOW) for number in range(20)}) == 20


def test_another_process_sees_changes_at_once(tokens: TokenFile) -> None:
    server = TokenFile(tokens.path)
    phone = tokens.add("phone", Scope.ACT, NOW)
    assert server.check(phone) is Scope.ACT
    tablet = tokens.add("tablet", Scope.READ, NOW)
    assert server.check(tablet) is Scope.READ
    tokens.remove("phone")
    assert server.check(phone) is None
    assert server.check(tablet) is Scope.READ
    tokens.path.unlink()
    assert server.check(tablet) is None


def test_a_name_is_used_once(tokens: TokenFile) -> None:
    tokens.add("phone", Scope.ACT, NOW)
    with pytest.raises(TokenFileError, match="a token 'phone' already"):
        tokens.add("phone", Scope.READ, NOW)


@pytest.mark.parametrize("name", ["", "a b", "x" * 61, "a\n", "ü"])
def test_a_name_is_checked(tokens: TokenFile, name: str) -> None:
    with pytest.raises(TokenFileError, match="is not valid: write"):
        tokens.add(name, Scope.ACT, NOW)


def test_only_an_existing_token_is_removed(tokens: TokenFile) -> None:
    tokens.add("phone", Scope.ACT, NOW)
    with pytest.raises(TokenFileError, match="no token 'fone'; there are: phone"):
        tokens.remove("fone")


def test_a_file_that_others_can_read_is_refused(
    tokens: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    text = tokens.add("phone", Scope.ACT, NOW)
    tokens.path.chmod(0o640)
    with pytest.raises(TokenFileError, match="chmod 600"):
        tokens.list()
    with caplog.at_level(logging.ERROR):
        assert tokens.check(text) is None
        assert tokens.check(text) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"no token is accepted: {tokens.path}: others can access it: make it private with "
        f"`chmod 600 {tokens.path}`"
    ]
    tokens.path.chmod(0o600)
    assert tokens.check(text) is Scope.ACT


def test_a_link_is_not_followed(tokens: TokenFile, tmp_path: Path) -> None:
    real = TokenFile(tmp_path / "real.json")
    text = real.add("phone", Scope.ACT, NOW)
    tokens.path.symlink_to(real.path)
    assert tokens.check(text) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "tokens": []}',
        '{"version": 1, "tokens": [{}]}',
        '{"version": 1, "tokens": [{"name": 1, "scope": "act", "created": "", "sha256": ""}]}',
        '{"version": 1, "tokens": 5}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_another_file_is_an_error_that_says_so(tokens: TokenFile, content: str) -> None:
    tokens.path.write_text(content, encoding="latin-1")
    tokens.path.chmod(0o600)
    with pytest.raises(TokenFileError, match="is not a file of tokens"):
        tokens.list()
    with pytest.raises(TokenFileError):
        tokens.add("phone", Scope.ACT, NOW)
    assert tokens.path.read_text(encoding="latin-1") == content


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(TokenFileError, match="is not a file of tokens"):
            TokenFile(tmp_path).list()
    assert len(list(Path("/proc/self/fd").iterdir())) < descriptors + 20


def test_a_pipe_is_an_error_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tokens.json", 0o600)
    with pytest.raises(TokenFileError, match="is not a file of tokens"):
        TokenFile(tmp_path / "tokens.json").list()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="can't be written"):
        TokenFile(tmp_path / "none" / "tokens.json").add("phone", Scope.ACT, NOW)


def test_an_unknown_scope_is_refused(tokens: TokenFile) -> None:
    tokens.add("phone", Scope.ACT, NOW)
    content = json.loads(tokens.path.read_text())
    content["tokens"][0]["scope"] = "all"
    tokens.path.write_text(json.dumps(content))
    os.utime(tokens.path, ns=(1, 1))
    with pytest.raises(TokenFileError):
        tokens.list()
