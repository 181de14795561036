"""The command `antlive`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from antlive.bench_command import add_bench_parser
from antlive.check_command import add_check_parser
from antlive.drain_command import add_drain_parser
from antlive.keys_command import add_keys_parser
from antlive.node_locks import DirectoryUnusable
from config.effective import effective_toml
from config.settings import Settings, SettingsError, load_settings
from config.standard_streams import open_standard_streams

_INTERRUPTED = 128 + signal.SIGINT
"""The exit code that shells use."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name. Exits with 2 when they, or the settings, are wrong."""
    open_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"antlive: {error}", file=sys.stderr)
        sys.exit(2)
    run: Callable[[Settings, argparse.Namespace], int] = options.run
    try:
        sys.exit(run(settings, options))
    except DirectoryUnusable as error:
        print(f"antlive: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # while it was still loading
        sys.exit(_INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="antlive", description="Live streaming that you run yourself.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve", help="everything on this machine, with an embedded Redis if none is configured"
    )
    serve.set_defaults(run=_serve)

    for role, text in (
        ("ingest", "RTMP ingest and its session workers"),
        ("web", "REST API, player page and LL-HLS origin on one port"),
        ("recorder", "records what the sessions of this node publish, where a stream asks for it"),
        ("control", "the REST API alone"),
        ("origin", "the LL-HLS origin and player page alone"),
    ):
        command = commands.add_parser(role, help=text)
        command.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
        command.add_argument("--http-fd", type=int, help=argparse.SUPPRESS)
        command.set_defaults(run=_role, role=role)

    demo = commands.add_parser("demo", help="push a moving test picture with a clock and a beep")
    demo.add_argument("--url", help="RTMP URL with the stream key; default: the ready stream of the running `serve`")
    demo.add_argument("--size", default="1280x720", help="picture size in pixels, WIDTHxHEIGHT (default %(default)s)")
    demo.add_argument("--fps", type=int, default=30, help="frames per second, 5 to 60 (default %(default)s)")
    demo.add_argument("--seconds", type=float, help="stop after this long (default: until Ctrl-C)")
    demo.set_defaults(run=_demo)
    config = commands.add_parser("config", help="print the settings in force as TOML, secrets masked")
    config.set_defaults(run=_config)
    add_keys_parser(commands)
    add_drain_parser(commands)
    add_check_parser(commands)
    add_bench_parser(commands)
    return parser


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    from antlive.serve import serve

    return serve(settings)


def _config(settings: Settings, options: argparse.Namespace) -> int:
    print(effective_toml(settings), end="")
    return 0


def _role(settings: Settings, options: argparse.Namespace) -> int:
    from antlive.roles import run_role

    return run_role(options.role, settings, options.ready_fd, options.http_fd)


def _demo(settings: Settings, options: argparse.Namespace) -> int:
    from antlive.demo import demo

    return demo(settings, options.url, options.size, options.fps, options.seconds)
