import errno
import os
from pathlib import Path

import pytest

from eshet_rules.audit import frames
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import FRAME_SIZE, DamagedFrame, compress, frames_of, read_frame
from eshet_rules.audit.trail import Trail

try:
    from compression import zstd
except ImportError:
    from backports import zstd

LINE = '{{"time":"2026-11-25T03:22:41.{:06}Z","level":"info","event":"e","path":"/{}"}}\n'


def lines(count):
    return "".join(LINE.format(number, number % 7) for number in range(count)).encode()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "trail-000001-20261125T032241.jsonl"
    path.write_bytes(lines(40_000))
    return path


def compressed(source):
    target = source.with_name(f"{source.name}.zst")
    compress(source, target)
    return target


def test_a_compressed_file_has_all_lines_in_frames_of_whole_lines(source):
    target = compressed(source)
    with target.open("rb") as file:
        frames, is_whole = frames_of(file)
        blocks = [read_frame(file, frame) for frame in frames]
    assert is_whole
    assert b"".join(blocks) == source.read_bytes()
    assert len(blocks) == len(source.read_bytes()) // FRAME_SIZE + 1
    assert all(block.endswith(b"\n") for block in blocks)
    assert [frame.lines for frame in frames] == [block.count(b"\n") for block in blocks]


def test_it_is_an_ordinary_file_of_zstd(source):
    assert zstd.decompress(compressed(source).read_bytes()) == source.read_bytes()


def test_it_is_for_its_owner_only(source):
    assert compressed(source).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 4, 8, 100, 5_000, 50_000, 100_000])
def test_without_its_end_the_frames_before_that_are_read(source, cut):
    target = compressed(source)
    target.write_bytes(target.read_bytes()[:-cut])
    read = b""
    with target.open("rb") as file:
        frames, is_whole = frames_of(file)
        assert not is_whole
        for frame in frames:
            try:
                read += read_frame(file, frame)
            except DamagedFrame:
                break
    assert source.read_bytes().startswith(read)


@pytest.mark.parametrize("content", [b"", b"x", b"\x00" * 100, b"\x28\xb5\x2f\xfd" + b"\xff" * 50])
def test_what_is_no_such_file_raises_nothing_else_than_damage(tmp_path, content):
    path = tmp_path / "x.zst"
    path.write_bytes(content)
    with path.open("rb") as file:
        frames, is_whole = frames_of(file)
        assert not is_whole
        for frame in frames:
            with pytest.raises(DamagedFrame):
                read_frame(file, frame)


@pytest.mark.parametrize("name", ["fsync", "fchmod"])
def test_what_could_not_be_compressed_is_as_it_was(source, monkeypatch, name):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, name, fail)
        with pytest.raises(OSError, match="No space"):
            compressed(source)
    assert [path.name for path in source.parent.iterdir()] == [source.name]


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Path, "replace"), (Path, "unlink"), (frames, "open_private"), (os, "fsync")],
)
def test_a_trail_goes_on_whichever_step_of_compressing_fails(tmp_path, monkeypatch, owner, name):
    file = tmp_path / "trail.jsonl"
    (tmp_path / "trail-000001-20261125T032241.jsonl").write_bytes(lines(10))
    problems = []

    def fail(self, *args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    trail = Trail(file, report=lambda problem: problems.append(problem.EVENT))
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fail)
        trail.open()
        trail.close()
    assert problems == ["trail.not_compressed"]
    again = Trail(file)
    again.open()
    again.close()
    assert [path.suffix for path in closed_files(file)] == [".zst"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".zst", ".jsonl"}


def test_a_frame_that_holds_gigabytes_is_reported_as_damaged(tmp_path):
    """A zstd bomb: a few kB that stand for 256 MiB, of which no more than the bound is made."""
    compressor = zstd.ZstdCompressor()
    path = tmp_path / "trail-000001-20261125T032241.jsonl.zst"
    with path.open("wb") as file:
        for _ in range(256):
            file.write(compressor.compress(bytes(1 << 20)))
        file.write(compressor.flush())
    with path.open("rb") as file:
        (frame,), _ = frames_of(file)
        with pytest.raises(DamagedFrame, match="more than 64 MiB"):
            read_frame(file, frame)


def test_a_frame_that_is_cut_off_is_reported_as_damaged(source):
    target = compressed(source)
    with target.open("rb") as file:
        frame = frames_of(file)[0][0]
        with pytest.raises(DamagedFrame):
            read_frame(file, type(frame)(frame.offset, frame.size // 2))
