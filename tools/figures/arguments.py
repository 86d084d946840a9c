"""Draws figures from run directories, the paper's beside what was published, or a page for any run.

    tools/plot fig8 fig10                   # from results/ and, where there is none, results/reproduced/
    tools/plot run results/xor/seed_1       # curves, confusion matrix, recording, diagnostics, as far as there are any
    tools/plot compare results/xor          # variants, points of a sweep, seeds: a table here, and a picture there
    tools/plot tasks                        # rules by tasks: a table in Markdown here, and a picture of learning curves
    tools/plot page                         # all runs in one HTML file: results/index.html
"""

import argparse
import pathlib
import re
import sys

from .failure import USAGE

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY = 100 # exit code of this module by itself: there is something to draw

# Each is a module here with NAME and draw(runs), which returns a figure, or several by what follows the name.
FIGURES = {
    "fig5": "a chain of two neurons learns weights and time constants from a teacher, by five rules",
    "fig6": "a small LagNet learns weights from a teacher: errors of GLE beside those of the adjoint method",
    "fig8": "MNIST-1D and speech: samples, and accuracy over epochs beside other networks",
    "fig10": "MNIST-1D through a fixed LagNet: accuracy over epochs",
    "feedback": "Yin-Yang with errors that go back through weights of their own: accuracy, and angles between B and W",
    "gradients": "how near the errors of gle, bp and eprop come to exact gradients, by depth and time constants",
    "integration": "how far potentials and errors are off that go on by steps of dt, Euler's or exponential ones",
    "hardware": "MNIST-1D on hardware that is not ideal: accuracy over mismatch, noise, and bits of weights",
}
# What takes folders in place of more figures, and the options that mean something to it.
TAKE_FOLDERS = {"run": ("output", "format"), "compare": ("output", "format"),
                "tasks": ("output", "format"), "page": ("output",)}
FORMATS = ("svg", "pdf", "png")


def formats_of(text):
    chosen = text.split(",")
    for each in chosen:
        if each not in FORMATS:
            raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(FORMATS)}")
    return chosen


def version():
    """That of glesim."""
    return re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]


def refuse(message):
    print(f"plot: {message}", file=sys.stderr)
    sys.exit(USAGE)


def parse():
    """The arguments; help, version and what is wrong end the program here."""
    parser = argparse.ArgumentParser(
        prog="plot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="figures:\n" + "".join(f"  {name:10}{text}\n" for name, text in FIGURES.items()))
    parser.add_argument("what", metavar="FIGURE", nargs="+",
                        help="one or several figures; or run DIR...; or compare DIR...; or "
                             "tasks [DIR...]; or page [DIR...]")
    parser.add_argument("--runs", metavar="DIR", type=pathlib.Path, action="append",
                        help="where <name>/<variant>/seed_<n> are, in place of results/ and results/reproduced/; "
                             "more than once: the first that has a run")
    parser.add_argument("--speech", metavar="DIR", type=pathlib.Path,
                        help="words like those of Speech Commands, one of which fig8 shows (default: those that "
                             "datasets/fetch_speech_commands or make_speech_corpus left)")
    parser.add_argument("--output", metavar="DIR", type=pathlib.Path,
                        help="where the pictures go (default: results/figures/; of run: into the run directory; of "
                             "compare, tasks and page: into the first of their folders; page takes a file NAME.html, "
                             "too)")
    parser.add_argument("--format", metavar="A,B", type=formats_of,
                        help="svg, pdf, png (default: all three; of run, compare and tasks: png)")
    parser.add_argument("--version", action="version", version=f"glesim {version()}")
    args = parser.parse_args()
    if args.what == ["run"]:
        refuse("which run? tools/plot run results/<name>/seed_<n>")
    if args.what == ["compare"]:
        refuse("which runs? tools/plot compare results/<name>, or several folders")
    unknown = [name for name in args.what if name not in FIGURES]
    if args.what[0] not in TAKE_FOLDERS and unknown:
        refuse(f"no figure {unknown[0]!r}; there are {', '.join(FIGURES)}, and run DIR, compare DIR, tasks, page")
    for option in ("runs", "speech", "output", "format"):
        if getattr(args, option) is not None and option not in TAKE_FOLDERS.get(args.what[0], (option,)):
            refuse(f"--{option} means nothing to {args.what[0]}")
    return args


if __name__ == "__main__":
    parse()
    sys.exit(READY)
