"""Draws the paper's figures from run directories, beside what was published, or a page for any run.

    tools/plot fig8 fig10                   # from results/ and, where there is none, results/reproduced/
    tools/plot run results/xor/seed_1       # curves, confusion matrix, recording, diagnostics, as far as there are any
"""

import argparse
import importlib
import pathlib
import signal
import sys

from .failure import USAGE, Failure, Missing
from .runs import Runs, shown
from . import run, style

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = [ROOT / "results", ROOT / "results" / "reproduced"]
SPEECH = [ROOT / "datasets" / name for name in ("speech_commands_v0.02", "synthetic_speech")]

# Each is a module here with NAME and draw(runs), which returns a figure, or several by what follows the name.
FIGURES = {
    "fig5": "a chain of two neurons learns weights and time constants from a teacher, by five rules",
    "fig6": "a small LagNet learns weights from a teacher: errors of GLE beside those of the adjoint method",
    "fig8": "MNIST-1D and speech: samples, and accuracy over epochs beside other networks",
    "fig10": "MNIST-1D through a fixed LagNet: accuracy over epochs",
}


def formats_of(text):
    chosen = text.split(",")
    for each in chosen:
        if each not in style.NO_METADATA:
            raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(style.NO_METADATA)}")
    return chosen


def say(paths):
    for path in paths:
        print(shown(path))


def draw_figures(names, args):
    """All that can be drawn; then one message for all that cannot."""
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise Failure(USAGE, f"no figure {unknown[0]!r}; there are {', '.join(FIGURES)}, and run DIR")
    runs, commands = Runs(args.runs or RESULTS, [args.speech] if args.speech else SPEECH), {}
    for name in dict.fromkeys(names):
        module = importlib.import_module(f"figures.{name}")
        try:
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
        figure = run.draw(folder)
        path = folder / "run"
        if args.output:
            path = args.output / "_".join(folder.resolve().parts[-3:])
        say(style.save(figure, path, args.format or ["png"]))


def parse():
    parser = argparse.ArgumentParser(
        prog="plot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="figures:\n" + "".join(f"  {name:8}{text}\n" for name, text in FIGURES.items()))
    parser.add_argument("what", metavar="FIGURE", nargs="+", help="one or several figures; or run DIR...")
    parser.add_argument("--runs", metavar="DIR", type=pathlib.Path, action="append",
                        help="where <name>/<variant>/seed_<n> are, in place of results/ and results/reproduced/; "
                             "more than once: the first that has a run")
    parser.add_argument("--speech", metavar="DIR", type=pathlib.Path,
                        help="words like those of Speech Commands, one of which fig8 shows (default: those that "
                             "datasets/fetch_speech_commands or make_speech_corpus left)")
    parser.add_argument("--output", metavar="DIR", type=pathlib.Path,
                        help="where the pictures go (default: results/figures/; of run: into the run directory)")
    parser.add_argument("--format", metavar="A,B", type=formats_of,
                        help="svg, pdf, png (default: all three; of run: png)")
    return parser.parse_args()


def main():
    args = parse()
    try:
        if args.what[0] == "run":
            if len(args.what) == 1:
                raise Failure(USAGE, "which run? tools/plot run results/<name>/seed_<n>")
            draw_runs([pathlib.Path(folder) for folder in args.what[1:]], args)
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
