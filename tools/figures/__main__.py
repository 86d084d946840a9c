"""Draws what the arguments say: see arguments.py, which answers them without numpy and matplotlib."""

import contextlib
import importlib
import pathlib
import signal
import sys

from . import arguments, compare, page, run, style, tasks
from .failure import DATA, USAGE, Failure, Missing
from .runs import Runs, shown

RESULTS = [arguments.ROOT / "results", arguments.ROOT / "results" / "reproduced"]
SPEECH = [arguments.ROOT / "datasets" / name for name in ("speech_commands_v0.02", "synthetic_speech")]


def say(paths):
    for path in paths:
        print(shown(path))


@contextlib.contextmanager
def as_written(what):
    """Files that glesim has not written, or that were changed since, do not fit together somewhere."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())
        raise Failure(DATA, f"{what} is not as glesim writes it: {type(error).__name__}: {words}") from error


def draw_figures(names, args):
    """All that can be drawn; then one message for all that cannot."""
    runs, commands = Runs(args.runs or RESULTS, [args.speech] if args.speech else SPEECH), {}
    for name in dict.fromkeys(names):
        module = importlib.import_module(f"figures.{name}")
        try:
            with as_written(f"{name}: what a run holds"):
                pages = module.draw(runs)
        except Missing as missing:
            for command in missing.commands:
                commands.setdefault(command, []).append(name)
            continue
        for suffix, figure in (pages.items() if isinstance(pages, dict) else [("", pages)]):
            say(style.save(figure, (args.output or RESULTS[0] / "figures") / (name + suffix),
                           args.format or list(style.NO_METADATA)))
    if commands:
        raise Failure(USAGE, "runs are missing, which these commands make:" + "".join(
            f"\n    {command}    # {', '.join(users)}" for command, users in commands.items()))


def draw_runs(folders, args):
    for folder in folders:
        with as_written(f"{shown(folder)}: what its files hold"):
            figure = run.draw(folder)
        path = folder / "run"
        if args.output:
            path = args.output / "_".join(folder.resolve().parts[-3:])
        say(style.save(figure, path, args.format or ["png"]))


def tell(left_out):
    """Which runs had to be left out."""
    for folder, why in left_out:
        print(f"plot: left out: {why if why.startswith(shown(folder)) else f'{shown(folder)}: {why}'}", file=sys.stderr)


def draw_comparison(folders, args):
    table, figure, left_out = compare.draw(folders)
    tell(left_out)
    print(table + "\n")
    say(style.save(figure, (args.output or folders[0]) / "compare", args.format or ["png"]))


def draw_tasks(folders, args):
    roots = folders or RESULTS
    with as_written("tasks: what a run holds"):
        table, figure, left_out = tasks.draw(roots)
    tell(left_out)
    print(table + "\n")
    say(style.save(figure, (args.output or (folders[0] if folders else RESULTS[0] / "figures")) / "tasks",
                   args.format or ["png"]))


def draw_page(folders, args):
    here = pathlib.Path("results")
    roots = folders or [here if here.is_dir() else RESULTS[0]]
    path = args.output or roots[0]
    if path.suffix != ".html":
        path /= "index.html"
    tell(page.draw(roots, path))
    say([path])


def main():
    args = arguments.parse()
    try:
        if args.what[0] == "run":
            draw_runs([pathlib.Path(folder) for folder in args.what[1:]], args)
        elif args.what[0] == "compare":
            draw_comparison([pathlib.Path(folder) for folder in args.what[1:]], args)
        elif args.what[0] == "tasks":
            draw_tasks([pathlib.Path(folder) for folder in args.what[1:]], args)
        elif args.what[0] == "page":
            draw_page([pathlib.Path(folder) for folder in args.what[1:]], args)
        else:
            draw_figures(args.what, args)
    except Failure as failure:
        print(f"plot: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        print("plot: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
