"""``osgp-fast scrub``: a capture or a dump made safe to share."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import click

from ..dumps.sniff import HEAD, sniff
from ..errors import InputError, UsageError
from ..image import MAX_TABLE, parse_table_name
from ..scan import NotRecognised
from ..scrub import Names, scrub_capture, scrub_tables
from ..units import human_count

__all__ = ["scrub"]

_EXAMPLES: Final = """
\b
Examples:
  osgp-fast scrub session.log                       writes session.scrubbed.log beside it
  osgp-fast scrub session.bin -o safe.bin
  osgp-fast scrub dump/ -o safe/                    a dump directory, METER/BT64.bin ...
  osgp-fast scrub a.log -o b.log --map names.json   the same made-up names for every file with this map
\b
Replaced by made-up values of the same form: passwords and user names of a log-on, serial numbers (BT01, ET03,
M-Bus), identifiers and keys, the owner's texts, and the same values in the text of a log. What was measured,
times and events stay. Noise and MEP messages are hidden, since nothing tells what is in them.
Look through the result before you share it.
\b
Exit: 0 written; 2 usage, or nothing that can be scrubbed; 3 failed, nothing written.
"""
#: A directory whose name has as many digits in a row is called by a serial number.
_LABEL: Final = re.compile(rb"[0-9]{4}")
_SUFFIX: Final = ".scrubbed"
#: Windows turns line ends where nobody says so.
_BINARY: Final = getattr(os, "O_BINARY", 0)
_ABOUT: Final = "osgp-fast scrub --map: real serial numbers and words, and what they became; keep it to yourself"


@click.command(epilog=_EXAMPLES)
@click.argument("source", metavar="FILE|DIR")
@click.option(
    "-o", "--output", "out", metavar="OUT", help="Where to write. Default: beside it, with .scrubbed in its name."
)
@click.option(
    "--map", "map_file", metavar="FILE", help="Keep the made-up names in FILE, and use those of earlier runs. A secret."
)
@click.option("--wrap", type=click.Choice(["none", "ppp", "slip"]), help="How the line of a capture is stuffed.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def scrub(
    source: str, out: str | None, map_file: str | None, wrap: Literal["none", "ppp", "slip"] | None, quiet: bool
) -> int:
    """Make a capture or a dump directory safe to share: it decodes and explains as before, but tells nobody's secrets.

    What was replaced is counted, and never shown.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError("usage.input", f"{source} does not exist", "name a capture or a dump directory")
    names = _names(map_file)
    skipped = 0
    if path.is_dir():
        target, skipped = _directory(path, out, names)
    else:
        target = _file(path, out, names, wrap)
    if map_file is not None:
        _keep(Path(map_file), names)
    if not quiet:
        _tell(names, target, skipped, map_file)
    return 0


def _names(map_file: str | None) -> Names:
    if map_file is None or not Path(map_file).exists():
        return Names()
    try:
        kept = json.loads(Path(map_file).read_text(encoding="utf-8"))
        words = kept["words"]
        if not all(isinstance(k, str) and isinstance(v, str) and len(k) == len(v) for k, v in words.items()):
            raise ValueError("words")
        return Names(bytes.fromhex(kept["key"]), words)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            "usage.map", f"{map_file} is no map of this command", "name a file that --map wrote, or a new one"
        ) from None


def _keep(path: Path, names: Names) -> None:
    text = json.dumps({"about": _ABOUT, "key": names.key.hex(), "words": names.words}, indent=1, ensure_ascii=False)
    _write(path, text.encode(), 0o600)


def _write(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode), "wb") as file:
            file.write(data)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


# ---- a capture


def _file(path: Path, out: str | None, names: Names, wrap: Literal["none", "ppp", "slip"] | None) -> Path:
    data = path.read_bytes()
    kind = sniff(data[:HEAD])
    if kind not in ("unknown", "empty"):
        raise UsageError(
            "usage.scrub",
            f"{path} is a {kind.replace('_', ' ')} file",
            "scrub works on captures and dump directories: unpack an archive, dump into a directory",
        )
    if out is not None and Path(out).exists() and Path(out).samefile(path):
        raise UsageError("usage.output", f"{out} is the input", "choose another place for -o")
    try:
        made = scrub_capture(data, names, wrap=wrap)
    except NotRecognised:
        raise InputError(
            "input.not_recognised",
            f"{path}: not one valid C12.18 packet is in it",
            "a capture of the MEP port alone cannot be scrubbed, since only its key can tell what is in it; for a stuffed "
            "line give --wrap",
        ) from None
    target = Path(out) if out is not None else _beside(path, names)
    if target.is_dir():
        target /= _named(path.name, names)
    _write(target, made)
    return target


def _named(name: str, names: Names) -> str:
    """A name in which serial numbers are replaced, too."""
    raw = name.encode("utf-8", "surrogateescape")
    if not _LABEL.search(raw):
        return name
    quiet = Names(names.key, names.words)
    stem, dot, suffix = raw.rpartition(b".")
    stem, suffix = (stem, suffix) if dot else (raw, b"")
    made = quiet.text("", stem) + dot + suffix
    names.words.update(quiet.words)
    return made.decode("utf-8", "replace")


def _beside(path: Path, names: Names) -> Path:
    stem, dot, suffix = path.name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (path.name, "")
    return path.with_name(_named(stem, names) + _SUFFIX + suffix)


# ---- a dump directory


def _directory(path: Path, out: str | None, names: Names) -> tuple[Path, int]:
    meters: dict[Path, dict[str, int]] = {}
    skipped = 0
    for file in sorted(_files(path)):
        number = parse_table_name(file.stem) if file.suffix.lower() == ".bin" else None
        if number is None:
            skipped += 1
        else:
            meters.setdefault(file.parent, {})[file.name] = number
    if not meters:
        raise InputError("input.not_recognised", f"{path} holds no table (BT64.bin ...)", "name a dump directory")
    target = Path(out) if out is not None else path.absolute().with_name(_named(path.absolute().name, names) + _SUFFIX)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError("usage.output", f"{target} exists already", "choose another place for -o")
    if target.absolute().is_relative_to(path.absolute()):
        raise UsageError("usage.output", f"{target} is within the input", "choose another place for -o")
    # The first round meets every value; the second finds them in every meter where nothing says what bytes are.
    for last in (False, True):
        names.reset()
        for place, numbers in meters.items():
            made = scrub_tables({name: _table(place / name) for name in numbers}, names, numbers)
            if last:
                parts = [_named(part, names) for part in place.relative_to(path).parts]
                home = target.joinpath(*parts)
                home.mkdir(parents=True, exist_ok=True)
                for name, data in made.items():
                    _write(home / name, data)
    return target, skipped


def _files(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.is_file() and not file.is_symlink())


def _table(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_TABLE + 1)
    if len(data) > MAX_TABLE:
        raise InputError("input.not_recognised", f"{path} is longer than any table", "name a dump directory")
    return data


# ---- what was done


def _tell(names: Names, target: Path, skipped: int, map_file: str | None) -> None:
    def say(text: str) -> None:
        click.echo(text, err=True)

    counts = names.counts
    if not counts:
        say("nothing was found that had to be replaced")
    for kind, (values, places) in counts.items():
        say(f"replaced: {kind}: " + ", ".join(_counted(values, places)))
    if skipped:
        say(f"left out: {human_count(skipped)} files that are no tables; what is in them is not known")
    say(f"wrote {target}; look through it before you share it")
    if map_file is not None:
        say(f"{map_file} holds the real values: keep it to yourself")
    sys.stderr.flush()


def _counted(values: int, places: int) -> Iterable[str]:
    if values:
        yield f"{human_count(values)} different"
    yield f"{human_count(places)} places" if places != 1 else "1 place"
