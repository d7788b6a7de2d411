"""``osgp-fast watch``: a live view of a meter, or a line of JSON per refresh."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..errors import UsageError
from ..session.policy import NIGHT, SESSION_S, Pause, Policy
from .live import COMMON, Opening, Where, failing, live_options
from .show import grid
from .watching import GROUPS, Watcher

__all__ = ["watch"]

_EXAMPLES: Final = f"""
\b
Examples:
  osgp-fast watch /dev/ttyUSB0                            a live view, every 5 s
  osgp-fast watch /dev/ttyUSB0 --interval 60
  osgp-fast watch /dev/ttyUSB0 --count 1 | jq .           a line of JSON per refresh where there is no terminal
  osgp-fast watch /dev/ttyUSB0 --json >> log.jsonl
The meter is logged off after at most {SESSION_S} s, since it may lock out who stays longer, and left alone around
midnight, when it closes its day. After an error the view says what happened and tries again.
{COMMON}
\b
Exit: 0 after --count refreshes; 2 usage, or a port that cannot be opened; 3 failed (a wrong password, another
device); 130 interrupted: logged off.
"""
_PHASE: Final = re.compile(r"(.*)_l([123])(.*)")
#: Names for people, by the quantity of `sources.json` without its phase.
_WORDS: Final = {
    "fwd_active_w": "active power, import",
    "rev_active_w": "active power, export",
    "import_reactive_var": "reactive power, import",
    "export_reactive_var": "reactive power, export",
    "va_power": "apparent power",
    "rms_current": "current",
    "rms_voltage": "voltage",
    "power_factor": "power factor",
    "frequency": "frequency",
    "fwd_active_wh": "active energy, import",
    "rev_active_wh": "active energy, export",
    "import_reactive_varh": "reactive energy, import",
    "export_reactive_varh": "reactive energy, export",
}
_PAUSE: Final = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@click.command(epilog=_EXAMPLES)
@live_options
@click.option(
    "--interval", type=click.FloatRange(0.5), default=5.0, metavar="SECONDS", help="Between refreshes. Default: 5."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N refreshes.")
@click.option(
    "--stale",
    type=click.FloatRange(1),
    default=90.0,
    metavar="SECONDS",
    help="Warn where the meter's clock or its values stand still for so long. Default: 90.",
)
@click.option(
    "--max-session",
    type=click.FloatRange(10, SESSION_S),
    default=SESSION_S,
    metavar="SECONDS",
    help=f"Log off and on again after so long. Default and most: {SESSION_S}.",
)
@click.option("--pause", metavar="HH:MM-HH:MM", help="Leave the meter alone, by its local time. Default: 23:59-00:04.")
@click.option("--no-pause", is_flag=True, help="No pause.")
@click.option("--all", "everything", is_flag=True, help="Show every value, not only the common ones.")
@click.option("--json", "as_json", is_flag=True, help="JSON also on a terminal.")
def watch(
    where: Where,
    interval: float,
    count: int | None,
    stale: float,
    max_session: float,
    pause: str | None,
    no_pause: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Watch a meter: power per phase, voltages, currents, energies, alarms, and how old each value is."""
    if pause is not None and no_pause:
        raise UsageError("usage.pause", "--pause and --no-pause do not go together", "choose one of them")
    night = None if no_pause else NIGHT if pause is None else _pause(pause)
    policy = Policy(session_s=max_session, pause=night)
    with failing(lambda: "logged off") as failed:
        opening = Opening(where)
        watcher = Watcher(
            lambda: opening.meter(max_session_s=max_session), interval_s=interval, stale_s=stale, policy=policy
        )
        if as_json or not sys.stdout.isatty():
            watcher.run(_line, count)
        else:
            with Live(console=Console(highlight=False), auto_refresh=False, transient=False) as live:
                watcher.run(lambda w, _: live.update(_view(w, where.port, everything), refresh=True), count)
    if failed:
        return failed[0]
    # Where not one refresh came about, --count has ended nothing but tries.
    return 3 if watcher.status == "error" and watcher.clock is None and not watcher.label else 0


def _pause(text: str) -> Pause:
    match = _PAUSE.fullmatch(text.strip())
    if match is not None:
        hours = (int(match[1]), int(match[3]))
        minutes = (int(match[2]), int(match[4]))
        if max(hours) < 24 and max(minutes) < 60:
            start, end = (h * 3600 + m * 60 for h, m in zip(hours, minutes, strict=True))
            return Pause(start, end)
    raise UsageError("usage.pause", f"{text!r} is no pause", "write it as 23:59-00:04")


# ---- JSON


def _line(watcher: Watcher, fresh: bool) -> None:
    if fresh:
        click.echo(json.dumps(_object(watcher), ensure_ascii=False))
        sys.stdout.flush()


def _object(watcher: Watcher) -> dict[str, Any]:
    clock = watcher.clock
    ages = {name: watcher.age(name) for name in GROUPS}
    return {
        "time": _stamp(watcher.times.wall()),
        "meter": watcher.label or None,
        "status": watcher.status,
        "message": watcher.message or None,
        "clock": {
            "utc": None if clock is None or clock.utc is None else clock.utc.isoformat().replace("+00:00", "Z"),
            "local": None if clock is None or clock.local is None else clock.local.isoformat(),
            "drift_s": None if clock is None or clock.drift_s is None else round(clock.drift_s, 3),
        },
        "age_s": {name: None if age is None else round(age, 1) for name, age in ages.items()},
        "measurements": [
            {key: row[key] for key in ("source", "quantity", "unit", "obis", "value")}
            for row in watcher.groups["measurements"].rows
        ],
        "energies": [
            {key: row[key] for key in ("source", "quantity", "unit", "obis", "value")} for row in _energies(watcher)
        ],
        "alarms": [row["alarm"] for row in watcher.groups["alarms"].rows if row["active"]],
        "warnings": watcher.warnings,
        "notes": [{"time": _stamp(note.at), "text": note.text} for note in watcher.notes],
    }


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _energies(watcher: Watcher) -> Iterator[dict[str, Any]]:
    """The summations without their tiers."""
    for row in watcher.groups["registers"].rows:
        if row["snapshot"] == "current" and row["kind"] == "summation" and row["tier"] is None:
            yield row


# ---- the view


def _view(watcher: Watcher, port: str, everything: bool) -> RenderableType:
    parts: list[RenderableType] = [_head(watcher, port)]
    parts += [Text(f"! {warning}", style="bold red") for warning in watcher.warnings]
    if (age := watcher.age("alarms")) is not None:
        active = [row["alarm"] for row in watcher.groups["alarms"].rows if row["active"]]
        words = ", ".join(active) if active else "none"
        parts.append(Text.assemble("alarms: ", (words, "bold red" if active else "green"), f"  ({_age(age)})"))
    if watcher.groups["measurements"].at is not None:
        parts.append(_phases(watcher, everything))
    if watcher.groups["registers"].at is not None:
        parts.append(_registers(watcher, everything))
    for note in watcher.notes:
        parts.append(Text(f"{time.strftime('%H:%M:%S', time.localtime(note.at))} {note.text}", style="dim"))
    return Group(*parts)


def _head(watcher: Watcher, port: str) -> Text:
    clock = watcher.clock
    style = {"ok": "green", "error": "bold red", "pause": "yellow"}.get(watcher.status, "")
    left = max(watcher.next_at - watcher.now, 0.0)
    words = {"error": f"next try in {left:.0f} s", "pause": watcher.message}.get(
        watcher.status, f"next in {left:.0f} s"
    )
    head = Text.assemble(
        (watcher.label or "no meter yet", "bold"), f" on {port}  ", (watcher.status, style), f"  {words}"
    )
    if clock is not None and (shown := clock.local or clock.utc) is not None:
        head.append(f"  meter's clock {shown:%Y-%m-%d %H:%M:%S}")
        if clock.drift_s is not None:
            head.append(f" ({clock.drift_s:+.1f} s)")
    return head


def _phases(watcher: Watcher, everything: bool) -> Table:
    rows: dict[str, dict[str, Any]] = {}
    for row in watcher.groups["measurements"].rows:
        name = row["quantity"] or f"source {row['source']}"
        match = _PHASE.fullmatch(name)
        base, phase = (match[1] + match[3], f"L{match[2]}") if match else (name, "total")
        if not everything and base not in _WORDS:
            continue
        rows.setdefault(base, {"unit": row["unit"]})[phase] = row["value"]
    table = grid("now", "total>", "L1>", "L2>", "L3>", "unit", "age>")
    age = _age(watcher.age("measurements"))
    for base, values in rows.items():
        cells = (_number(values.get(phase)) for phase in ("total", "L1", "L2", "L3"))
        unit = values["unit"] if values["unit"] != "1" else ""
        table.add_row(escape(_words(base)), *cells, unit or "", age)
    return table


def _registers(watcher: Watcher, everything: bool) -> Table:
    table = grid("energy", "total>", "unit", "obis", "age>")
    age = _age(watcher.age("registers"))
    for row in _energies(watcher):
        unit, value = row["unit"] or "", row["value"]
        if not everything and row["quantity"] not in _WORDS:
            continue
        if unit in ("Wh", "varh"):
            unit, text = f"k{unit}", f"{value / 1000:,.3f}"
        else:
            text = f"{value:,}"
        table.add_row(escape(_words(row["quantity"] or f"source {row['source']}")), text, unit, row["obis"] or "", age)
    return table


def _words(name: str) -> str:
    return _WORDS.get(name) or name.replace("_", " ")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}".rstrip("0")


def _age(age: float | None) -> str:
    return "" if age is None else f"{age:.0f} s ago"
