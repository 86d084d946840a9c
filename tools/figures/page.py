"""One HTML file for all runs below some folders, with its style, its script and its data inside.

What comes out of reports and configs is data: JSON in which no character has a meaning for HTML, and which the script
puts into the page as text. The page allows no other script and no network (Content-Security-Policy).
"""

import base64
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import stat
import urllib.parse

from . import arguments, collect
from .failure import WRITE, Failure
from .runs import shown

HERE = pathlib.Path(__file__).parent
MOST_POINTS = 200 # of a curve
DIGITS = 4        # of a number in a curve
MOST_TEXT = 1 << 20     # bytes of a config, beyond which there is only a link
MOST_PICTURE = 1 << 19  # bytes of a picture in the page; larger ones, and those beyond the next number, are links
MOST_PICTURES = 8 << 20 # bytes of all
FILES = ("metrics.json", "config.yaml", "weights.npz", "recording.npz", "confusion.npz",
         "run.png", "run.svg", "run.pdf") # that the page links to
PNG = b"\x89PNG\r\n\x1a\n"


class Table(dict):
    """Numbers things in the order in which they are first asked for."""

    def __missing__(self, key):
        self[key] = len(self)
        return self[key]


def content(path, most):
    """The bytes of a regular file of at most so many, or None."""
    with contextlib.suppress(OSError):
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file: # no pipe is waited for
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                read = file.read(most + 1)
                return read if len(read) <= most else None
    return None


def thinned(values):
    """At most so many of them, with the last."""
    step = -(-len(values) // MOST_POINTS)
    kept = values[::step]
    return kept if (len(values) - 1) % step == 0 else kept + values[-1:]


def rounded(value):
    return None if value is None else float(f"{value:.{DIGITS}g}")


def judged(pair):
    return pair and [rounded(pair[0]), pair[1]]


def config_lines(entry):
    text = content(entry.folder / "config.yaml", MOST_TEXT)
    return text.decode("utf-8", errors="replace").splitlines() if text is not None else []


def place(path, beside):
    """How a page in a folder links to a path."""
    return urllib.parse.quote(os.fsencode(os.path.relpath(path.resolve(), beside.resolve())))


class Page:
    """Collects what the page has of each run; axes of curves and lines of texts, which runs share, are kept once."""

    def __init__(self, beside):
        self.beside, self.axes, self.lines = beside, Table(), Table()
        self.pictures, self.room = [], MOST_PICTURES

    def curve(self, key, split, over, x, y):
        axis = self.axes[over, tuple(thinned(x))]
        return [key, split, axis, [rounded(value) for value in thinned(y)]]

    def picture(self, folder):
        """The number of a run's picture, or None if it has none that is small."""
        png = content(folder / "run.png", min(MOST_PICTURE, self.room))
        if not png or not png.startswith(PNG):
            return None
        self.room -= len(png)
        self.pictures.append(base64.b64encode(png).decode("ascii"))
        return len(self.pictures) - 1

    def run(self, entry, differences):
        return {
            "folder": shown(entry.folder), "name": entry.name, "variant": entry.variant, "point": entry.point,
            "seed": entry.seed, "status": entry.status, "message": entry.message, "description": entry.description,
            "accuracy": judged(entry.accuracy), "loss": judged(entry.loss),
            "best_accuracy": judged(entry.best_accuracy), "best_loss": judged(entry.best_loss),
            "seconds": rounded(entry.seconds), "differences": differences,
            "curves": [self.curve(*curve) for curve in entry.curves],
            "config": [self.lines[line] for line in config_lines(entry)],
            "facts": [[key, self.lines[value]] for key, value in entry.facts],
            "files": [name for name in FILES if (entry.folder / name).is_file()],
            "place": place(entry.folder, self.beside), "picture": self.picture(entry.folder)}


def in_html(text):
    """JSON, or base64, none of whose characters end or begin anything in HTML."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def checksum(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"


def html_of(data, pictures):
    style, charts, script, body = ((HERE / name).read_text(encoding="utf-8")
                                   for name in ("page.css", "chart.js", "page.js", "page.html"))
    script = charts + script
    policy = f"default-src 'none'; img-src data:; style-src {checksum(style)}; script-src {checksum(script)}"
    stored = "".join(f'<script type="text/plain" id="picture-{i}">{picture}</script>\n'
                     for i, picture in enumerate(pictures))
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>glesim: runs</title>\n'
            f'<style>{style}</style>\n</head>\n<body>\n{body}'
            f'<script type="application/json" id="data">{in_html(json.dumps(data, separators=(",", ":")))}</script>\n'
            f'{stored}<script>{script}</script>\n</body>\n</html>\n')


def write(path, text):
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(WRITE, f"{error.filename or path}: cannot write: {error.strerror or error}") from None


def draw(roots, path):
    """Writes the page of all runs below some folders. Returns pairs of folder and reason of those that it lacks."""
    entries, left_out = collect.below(roots)
    page = Page(path.parent)
    runs = [page.run(*each) for each in zip(entries, collect.differences(entries))]
    data = {"roots": [shown(root) for root in roots], "version": arguments.version(),
            "made": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"), "runs": runs,
            "axes": [[over, x] for over, x in page.axes], "lines": list(page.lines),
            "left_out": [[shown(folder), why] for folder, why in left_out]}
    write(path, html_of(data, page.pictures))
    return left_out
