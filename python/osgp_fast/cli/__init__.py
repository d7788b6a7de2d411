"""The command line: one file per command, loaded when it is called.

Exit: 0 all done; 1 done but for some rejects; 2 usage, or an input that cannot be opened; 3 failed, nothing written;
130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Final

import click

from ..errors import InputError, OsgpError, UsageError

__all__ = ["cli", "main"]

# Command -> its module here, where it is the function of the same name.
_COMMANDS: Final = {
    name: name
    for name in (
        "decode",
        "dump",
        "explain",
        "procedure",
        "read",
        "record",
        "scrub",
        "simulate",
        "tables",
        "watch",
        "write",
    )
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from .. import _impl
    from .version import version

    part = "with" if _impl.compiled() else "without"
    click.echo(f"osgp-fast {version()} ({_impl.implementation()} decoder, {part} compiled part)")
    ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    callback=_print_version,
    expose_value=False,
    is_eager=True,
    help="Say the version and exit.",
)
def cli() -> None:
    """OSGP smart meters: captured table dumps and serial captures to columns."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        code = cli.main(arguments, prog_name="osgp-fast", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; nothing was written")
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough; the interpreter shall not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (InputError, UsageError, ImportError) as error:
        _say(str(error))
        code = 2
    except (OsgpError, OSError, MemoryError) as error:
        _say(f"{_words(error)}; nothing was written")
        code = 3
    except Exception as error:
        if os.environ.get("OSGP_FAST_TRACEBACK"):
            raise
        _say(
            f"{type(error).__name__}: {error}; nothing was written; this is a bug, please report it "
            "(OSGP_FAST_TRACEBACK=1 shows where)"
        )
        code = 3
    sys.exit(code)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _say(text: Any) -> None:
    click.echo(f"osgp-fast: {text}", err=True)
