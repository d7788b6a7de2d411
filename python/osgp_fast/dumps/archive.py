"""``.zip`` and ``.tar[.gz|.zst]`` of ``METER/BT64.bin``: the rules of a directory, members sorted bytewise by path.

Bad archives: a member whose name leaves the archive is rejected; of several of one name the last is used; a member that
is encrypted, damaged or larger than a table is rejected; an archive that unpacks to more than `BOMB_SIZE` and
`BOMB_RATIO` times its own size is not read further (deflate cannot do more than 1032 honestly).
"""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from ..errors import InputError
from ..image import MAX_TABLE
from ..reject import MAX_DATA, Reject
from .files import EMPTY, FIRST, not_recognised, os_reason, too_large
from .index import Index, ReadError, Source, Stored
from .names import archive_stem, classify, hidden, text
from .tar import Damaged, TarReader

__all__ = ["BOMB_RATIO", "BOMB_SIZE", "index_tar", "index_zip"]

BOMB_SIZE: Final = 1 << 30
BOMB_RATIO: Final = 1200

_LINK = "a link or a special file in an archive; it is not followed; store the file itself"


class Bomb(Exception):
    """The archive unpacks to far more than it holds."""


class _Budget:
    """Counts what an archive unpacks to."""

    def __init__(self, size: int) -> None:
        self.limit = max(BOMB_SIZE, BOMB_RATIO * size)
        self.total = 0

    def take(self, count: int) -> None:
        self.total += count
        if self.total > self.limit:
            raise Bomb


def _bomb(index: Index, path: str, size: int) -> Reject:
    return Reject(
        code="archive.bomb",
        reason=f"the archive of {size} bytes unpacks to more than {max(BOMB_SIZE, BOMB_RATIO * size)} bytes; it is not "
        "read further; is this a zip bomb?",
        item=text(Path(path).name),
        input=path,
        length=size,
    )


def _damaged(index: Index, path: str, item: str, why: str) -> Reject:
    return Reject(
        code="archive.damaged",
        reason=f"damaged: {why}; copy or make the archive again",
        item=item,
        input=path,
    )


class _Found:
    """A member as both kinds of archive give it."""

    __slots__ = ("data", "info", "kind", "name", "order", "parts", "size")

    def __init__(self, name: str, order: int, kind: str, size: int, info: Any, data: bytes = b"") -> None:
        self.name = name
        self.order = order
        self.kind = kind
        self.size = size
        self.info = info
        self.data = data
        # Bytewise by path, folder by folder, as the walk of a directory is.
        self.parts = [p for p in name.split("/") if p not in ("", ".")]

    def key(self) -> tuple[list[bytes], int]:
        return [p.encode() for p in self.parts], self.order


def _unsafe(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/"


def _index_members(
    index: Index, path: str, found: list[_Found], store: Callable[[_Found, int, str], tuple[Source, Any]]
) -> int:
    """Turn members into entries and rejects, in order of their paths; returns the number of tables."""
    tables = 0
    stem = text(archive_stem(Path(path).name))
    sessions: dict[tuple[str, ...], int] = {}
    found.sort(key=_Found.key)
    for i, member in enumerate(found):
        shown = f"{path}/{member.name}"
        if _unsafe(member.name):
            index.reject(
                Reject(
                    code="archive.unsafe_name",
                    reason="the name leads out of the archive; it is not read; make the archive with relative names",
                    item=member.name,
                    input=path,
                    length=member.size,
                )
            )
            continue
        if not member.parts or member.kind == "dir":
            continue
        if any(hidden(p) for p in member.parts):
            index.counts.skipped_files += 1
            continue
        name = member.parts[-1]
        kind = classify(name)
        if kind == "skip":
            index.counts.skipped_files += 1
            continue
        if i + 1 < len(found) and found[i + 1].parts == member.parts and found[i + 1].kind == member.kind:
            index.reject(
                Reject(
                    code="archive.duplicate_name",
                    reason="the archive holds several members of this name; the last is used; make the archive again",
                    item=member.name,
                    input=path,
                    length=member.size,
                )
            )
            continue
        if member.kind == "other":
            index.reject(Reject(code="input.not_a_file", reason=_LINK, item=name, input=shown))
            continue
        if kind == "other":
            index.reject(
                Reject(
                    code="input.not_recognised",
                    reason=not_recognised(name),
                    item=name,
                    input=shown,
                    offset=0,
                    length=member.size,
                    data=member.data[:FIRST],
                )
            )
            continue
        assert isinstance(kind, int)
        folder = tuple(member.parts[:-1])
        if folder not in sessions:
            sessions[folder] = index.session()
        source, where = store(member, kind, shown)
        index.add(folder[-1] if folder else stem, Stored(kind, sessions[folder], shown, source, where))
        tables += 1
    return tables


# ---- zip


class _Zip:
    """Members of a zip, unpacked when their meter is decoded."""

    def __init__(self, path: str, archive: zipfile.ZipFile, size: int) -> None:
        self.path = path
        self.archive = archive
        self.budget = _Budget(size)
        self.size = size
        self.stopped = False

    def read(self, where: Any) -> bytes:
        info: zipfile.ZipInfo = where
        if self.stopped:
            raise ReadError("", "told already")
        if info.flag_bits & 1:
            raise ReadError("archive.encrypted", "the member is encrypted; unpack the archive and decode the folder")
        limit = MAX_DATA if info.file_size > MAX_TABLE else MAX_TABLE + 1
        try:
            with self.archive.open(info) as file:
                parts, size = [], 0
                while size < limit and (part := file.read(min(1 << 20, limit - size))):
                    self.budget.take(len(part))
                    parts.append(part)
                    size += len(part)
        except Bomb:
            self.stopped = True
            raise ReadError(
                "archive.bomb",
                f"the archive of {self.size} bytes unpacks to more than {self.budget.limit} bytes; it is not read "
                "further; is this a zip bomb?",
            ) from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            OSError,
        ) as error:
            raise ReadError("archive.damaged", f"damaged: {error}; copy or make the archive again") from None
        data = b"".join(parts)
        if info.file_size > MAX_TABLE or len(data) > MAX_TABLE:
            raise ReadError(
                "input.too_large",
                too_large(max(info.file_size, len(data))),
                data[:MAX_DATA],
                max(info.file_size, len(data)),
            )
        if not data:
            raise ReadError("input.empty", EMPTY)
        return data

    def head(self, info: zipfile.ZipInfo) -> bytes:
        """The first bytes of a member that is no table."""
        try:
            with self.archive.open(info) as file:
                return file.read(FIRST)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
            return b""

    def close(self) -> None:
        self.archive.close()


def index_zip(index: Index, path: str) -> int:
    """Find the tables of a zip; returns how many. Raises: InputError if it is no zip after all."""
    try:
        size = Path(path).stat().st_size
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise InputError("input.unreadable", f"{path} cannot be read: {os_reason(error)}", path=path) from None
    except Exception as error:
        raise InputError(
            "input.unreadable",
            f"{path} is a zip that cannot be read: {error}",
            "it is probably cut short; copy it again",
            path=path,
        ) from None
    source = _Zip(path, archive, size)
    index.source(source)
    found = []
    for order, info in enumerate(archive.infolist()):
        mode = info.external_attr >> 16
        kind = "dir" if info.is_dir() else "other" if stat.S_IFMT(mode) not in (0, stat.S_IFREG) else "file"
        name = text(info.filename).replace("\\", "/")
        member = _Found(name, order, kind, info.file_size, info)
        if kind == "file" and classify(name.rpartition("/")[2]) == "other" and not info.flag_bits & 1:
            member.data = source.head(info)
        found.append(member)
    return _index_members(index, path, found, lambda member, _kind, _shown: (source, member.info))


# ---- tar


class _Counted:
    """A stream whose bytes are counted against a budget."""

    def __init__(self, stream: IO[bytes] | Any, budget: _Budget | None) -> None:
        self.stream = stream
        self.budget = budget

    def read(self, size: int, /) -> bytes:
        data: bytes = self.stream.read(size)
        if self.budget is not None:
            self.budget.take(len(data))
        return data


def _unpack(file: IO[bytes], format: str) -> Any:
    if format == "gzip":
        return gzip.GzipFile(fileobj=file)
    if format == "zstd":
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14

            return zstd.ZstdFile(file)
        except ImportError:
            pass
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise ImportError(
                ".tar.zst is read by the compiled part of osgp-fast, by Python 3.14, or by zstandard "
                "(pip install zstandard)"
            ) from None
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file, read_across_frames=True)
    return file


class _Unreadable:
    """A member whose bytes did not come: its meter says why."""

    def read(self, where: Any) -> bytes:
        code, reason, data, size = where
        raise ReadError(code, reason, data, size)

    def close(self) -> None:
        """Nothing is kept."""


_UNREADABLE: Final = _Unreadable()


def index_tar(index: Index, path: str, format: str) -> int | None:
    """Find the tables of a tar and keep their bytes; returns how many, None if what is packed is no tar."""
    try:
        size = Path(path).stat().st_size
        file = Path(path).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError("input.unreadable", f"{path} cannot be read: {os_reason(error)}", path=path) from None
    found: list[_Found] = []
    trouble: Reject | None = None
    with file:
        stream = _Counted(_unpack(file, format), None if format == "tar" else _Budget(size))
        reader = TarReader(stream)
        member: _Found | None = None
        try:
            for order, entry in enumerate(reader):
                name = text(entry.name)
                member = _Found(name, order, entry.kind, entry.size, None)
                if entry.kind == "file":
                    kind = classify(member.parts[-1]) if member.parts else "skip"
                    wanted = not _unsafe(name) and not any(hidden(p) for p in member.parts)
                    if kind == "other" and wanted:
                        member.data = reader.read(FIRST)
                    elif kind != "skip" and wanted:
                        if entry.size > MAX_TABLE:
                            data = reader.read(MAX_DATA)
                            member.info = (_UNREADABLE, ("input.too_large", too_large(entry.size), data, entry.size))
                        elif entry.size == 0:
                            member.info = (_UNREADABLE, ("input.empty", EMPTY, b"", 0))
                        else:
                            data = reader.read(entry.size)
                            member.info = (index.spool, index.spool.add(data))
                found.append(member)
                member = None
        except Bomb:
            trouble = _bomb(index, path, size)
        except (Damaged, EOFError, zlib.error, gzip.BadGzipFile, OSError, ValueError) as error:
            if not found and member is None:
                return None
            trouble = _damaged(index, path, member.name if member is not None else text(Path(path).name), str(error))
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            if not found and member is None:
                return None
            trouble = _damaged(index, path, member.name if member is not None else text(Path(path).name), str(error))
    tables = _index_members(index, path, found, lambda member, _kind, _shown: member.info)
    if trouble is not None:
        index.reject(trouble)
    return tables
