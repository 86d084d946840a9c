"""Rules by tasks: learning curves, a panel a task, and a table of test scores in Markdown; each rule at the learning
rate that the validation set prefers. Runs lie in <results>/tasks_<task>/<rule>/<point of the sweep>/seed_<n>/; where
reports of single runs were not kept, their summaries count."""

import contextlib
import dataclasses
import pathlib

import numpy as np

from . import style
from .collect import number, points, written
from .failure import DATA, Failure, Missing
from .runs import Run, read_json, score_of, shown

PREFIX = "tasks_"
# What a panel is called, and how many classes there are where only summaries are left, which do not say.
TASKS = {"rows": ("rows of Fashion-MNIST", 10), "pixels": ("permuted pixels of Fashion-MNIST", 10),
         "delayed_xor": ("delayed XOR", 2), "copy": ("copy", 8), "evidence": ("evidence", 2),
         "adding": ("adding", None), "mackey_glass": ("Mackey-Glass", None)}
RULES = ("gle", "bp", "eprop", "bptt_short", "bptt")
# Split and key, the first that there is: what learning rates are chosen by, the less the better; and what is told.
CHOICES = (("validation", "loss"), ("train_after", "nrmse"), ("train_after", "loss"), ("train", "nrmse"),
           ("train", "loss"))
SCORES = ("accuracy", "nrmse")
KEYS = {"accuracy": "accuracy (%)", "nrmse": "NRMSE", "loss": "loss"}
SPLITS = {"train": "training", "train_after": "training", "validation": "validation", "test": "test"}
AFTER = {"train_after": " after the epoch"}
WIDTHS = dict(zip(RULES, (2.4, 2.0, 1.6, 1.2, 0.8))) # points; what lies on others leaves them to be seen
ROW = 46 # mm, the height of a row of panels


@dataclasses.dataclass
class Point:
    """The seeds of one rule at one point of a sweep.

    final: mean, standard deviation (over n) and n by split and key, after the last epoch
    curves: epochs, mean, least and largest value by split and key
    ends: status by seed of all that did not complete
    """

    label: str
    seeds: int
    final: dict
    curves: dict
    ends: dict
    classes: int # one output each; None, where nobody knows

    @property
    def diverged(self):
        return [seed for seed, status in self.ends.items() if status == "diverged"]


def scores_of(part):
    """Pairs of (split, key) and value of all that an epoch, or what a run ended with, tells of its scores."""
    for split in SPLITS:
        for key in KEYS:
            value = ((part or {}).get(split) or {}).get(key)
            if value is not None:
                yield (split, key), value


# --- Points, from the reports of runs or from summaries of them

def label_of(values):
    """{"learning.optimizer.lr": 0.001}, or "1.0e-3" there, in words: lr 0.001."""
    words = []
    for key, value in values.items():
        with contextlib.suppress(TypeError, ValueError):
            value = f"{float(value):g}"
        words.append(f"{key.rpartition('.')[2]} {written(value)}")
    return ", ".join(words)


def point_of_runs(runs):
    """The point of runs that differ in their seeds."""
    completed = [run.metrics for run in runs if run.completed]
    final, curves = {}, {}
    for split in SPLITS:
        for key in KEYS:
            values = [number(dict(scores_of(m["final"])).get((split, key))) for m in completed]
            values = np.array([value for value in values if value is not None])
            if len(values):
                final[split, key] = values.mean(), values.std(), len(values)
            pairs = [points((e["epoch"], number((score_of(e, split) or {}).get(key))) for e in m["epochs"])
                     for m in completed]
            least = min((len(x) for x, _ in pairs), default=0)
            if least:
                y = np.array([y[:least] for _, y in pairs])
                curves[split, key] = pairs[0][0][:least], y.mean(axis=0), y.min(axis=0), y.max(axis=0)
    first = runs[0].metrics
    values = first.get("sweep") or {"lr": first["config"]["learning"]["optimizer"]["lr"]}
    ends = {run.seed: run.metrics["status"] for run in runs if not run.completed}
    return Point(label_of(values), len(runs), final, curves, ends, first["dataset"].get("targets"))


def over_seeds(value, seeds):
    """Mean, standard deviation, least and largest value, and number of seeds of what a summary has."""
    if isinstance(value, dict):
        return [value[key] for key in ("mean", "std", "min", "max", "n")]
    return [value, 0.0, value, value, seeds]


def point_of_summary(content):
    """The point of a summary of seeds, or of one of the points of a summary of a sweep, which has no curves."""
    found, curves, n = {}, {}, content["completed"]
    for what, value in scores_of(content["final"]):
        mean, std, _, _, seeds = over_seeds(value, n)
        found[what] = mean, std, seeds
    for e in content.get("epochs") or []:
        for what, value in scores_of(e):
            mean, _, least, most, _ = over_seeds(value, n)
            for values, each in zip(curves.setdefault(what, ([], [], [], [])), (e["epoch"], mean, least, most)):
                values.append(each)
    values = content.get("values")
    if not values: # of one point, as its folder is called: lr=1.0e-3
        values = dict(each.split("=", 1) for each in (content["sweep"] or "").split(",") if "=" in each)
    curves = {what: tuple(map(np.array, curve)) for what, curve in curves.items()}
    ends = {run["seed"]: run["status"] for run in content["runs"] if run["status"] != "completed"}
    return Point(label_of(values), len(content["runs"]), found, curves, ends, None)


def points_of_summary(folder, left_out):
    """Those of its summary.json, if it has one: one, or those of a sweep."""
    if not (folder / "summary.json").is_file():
        return []
    try:
        content = read_json(folder / "summary.json")
    except Failure as failure:
        left_out.append((folder, str(failure)))
        return []
    return [point_of_summary(each) for each in content.get("points") or [content]]


def points_of(folder, left_out):
    """Those of a rule. Reports that cannot be read are left out, and told."""
    found = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        runs = []
        for path in sorted(place.glob("seed_*/metrics.json")):
            try:
                runs.append(Run(path.parent))
            except Failure as failure:
                left_out.append((path.parent, str(failure)))
        if runs:
            found.append(point_of_runs(sorted(runs, key=lambda run: run.seed)))
        elif place != folder:
            found += points_of_summary(place, left_out)
    return found or points_of_summary(folder, left_out)


# --- Tasks

class Task:
    """The points of each rule of one task, and which of them is told."""

    def __init__(self, name, rules):
        self.name, self.rules = name, rules
        self.title, classes = TASKS.get(name, (name.replace("_", " "), None))
        everything = [point for found in rules.values() for point in found]
        self.choice = next((what for what in CHOICES if any(what in point.final for point in everything)), None)
        self.score = next((key for key in SCORES if any(("test", key) in point.final for point in everything)), None)
        self.classes = next((point.classes for point in everything if point.classes), classes)
        self.chosen = {rule: self.best(found) for rule, found in rules.items()}

    def best(self, found):
        """The point that the choice prefers, or None. Where a run diverged a point is taken for want of others."""
        found = [point for point in found if self.choice in point.final and ("test", self.score) in point.final]
        return min(found, key=lambda point: (bool(point.diverged), point.final[self.choice][0]), default=None)

    @property
    def scale(self):
        return 100 if self.score == "accuracy" else 1

    @property
    def chance(self):
        """What guesses come to, or an output that is always the mean of the targets; None, where nobody knows."""
        if self.score == "nrmse":
            return 1.0
        return 100 / self.classes if self.score and self.classes else None

    def curve(self, point):
        """Epochs, mean, least and largest value of the score on the set that rates are chosen on, or None."""
        return point.curves.get((self.choice[0], self.score))

    def outcome(self, rule):
        """Of a rule in the table."""
        point = self.chosen.get(rule)
        if point:
            mean, std, n = point.final["test", self.score]
            return f"{written_score(self.scale * mean, self.score, std)}" + (
                f" ± {written_score(self.scale * std, self.score, std)}" if n > 1 else "") + f" (n {n}, {point.label})"
        return "diverged" if any(point.diverged for point in self.rules.get(rule, [])) else "–"


def written_score(value, score, std):
    """With as many digits as a standard deviation of an NRMSE makes sense of."""
    if score == "accuracy":
        return f"{value:.1f}"
    digits = 3 if not std else int(np.clip(1 - np.floor(np.log10(std)), 2, 5))
    return f"{value:.{digits}f}"


def find(roots, left_out):
    """The tasks that there are, those of TASKS first, with the rules that there are, each from the first root that has
    it. And variants of other names."""
    for root in roots:
        if not root.is_dir():
            raise Failure(DATA, f"{shown(root)}: no such folder")
    folders = {}
    for root in roots:
        for path in sorted(root.glob(f"{PREFIX}*/*/")):
            folders.setdefault(path.parent.name.removeprefix(PREFIX), {}).setdefault(path.name, []).append(path)
    found, others = [], []
    for name in (*(name for name in TASKS if name in folders), *sorted(set(folders) - set(TASKS))):
        rules = {rule: next(filter(None, (points_of(path, left_out) for path in folders[name].get(rule, []))), [])
                 for rule in RULES}
        others += [f"{name}: {rule}, which is none of the rules" for rule in sorted(set(folders[name]) - set(RULES))]
        if any(rules.values()):
            found.append(Task(name, {rule: there for rule, there in rules.items() if there}))
    return found, others


# --- The table

def choice_in_words(tasks):
    """By what rates were chosen: what holds for most tasks, and what for others."""
    words = {}
    for task in tasks:
        if task.choice:
            split, key = task.choice
            words.setdefault(f"{KEYS[key]} on the {SPLITS[split]} set{AFTER.get(split, '')}", []).append(task.name)
    most = max(words, key=lambda each: len(words[each]), default=None)
    rest = "; ".join(f"{', '.join(names)}: {each}" for each, names in words.items() if each != most)
    return f"the least mean {most}" + (f" ({rest})" if rest else "") if most else ""


def ends_of(tasks):
    """Lines for points with runs that did not complete."""
    for task in tasks:
        for rule, found in task.rules.items():
            for point in found:
                for status in sorted(set(point.ends.values())):
                    seeds = [str(seed) for seed, end in point.ends.items() if end == status]
                    yield (f"- {task.name}, {rule}, {point.label}: {len(seeds)} of {point.seeds} seeds {status}: "
                           f"{', '.join(seeds)}")


def left_out_of(tasks, others):
    """Lines for tasks, rules, scores and curves that there are not."""
    there = {task.name for task in tasks}
    for name in TASKS:
        if name not in there:
            yield f"- left out: {name}: no runs; `tools/glesim configs/{PREFIX}{name}.yaml --seeds 1-3` makes them"
    for task in tasks:
        missing = [rule for rule in RULES if rule not in task.rules]
        if missing:
            yield f"- left out: {task.name}: no runs of {', '.join(missing)}"
        for rule, point in task.chosen.items():
            if not point and not any(each.diverged for each in task.rules[rule]):
                yield f"- left out: {task.name}: {rule}, of which no run has ended with a score"
            elif point and not task.curve(point):
                yield f"- no curve: {task.name}, {rule}: its summary has none"
    yield from (f"- left out: {other}" for other in others)


def table(tasks, others):
    """In Markdown, with what has to be known beside it."""
    rows = [["task", "test", *RULES]]
    rows += [[task.name, KEYS.get(task.score, "–"), *map(task.outcome, RULES)] for task in tasks]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    chosen = choice_in_words(tasks)
    notes = ["Mean ± standard deviation over n seeds after the last epoch, each rule at the learning rate with",
             f"{chosen}; a rate at which a run diverged is taken only where there is no other."] if chosen else []
    more = [*ends_of(tasks), *left_out_of(tasks, others)]
    return "\n".join(lines + [""] * bool(notes) + notes + [""] * bool(more) + more)


# --- The picture

def frame(axes, values):
    """Scale and limits for what was learned: an untrained network, which may be far off, and ranges may lie beyond."""
    style.set_scale(axes, values)
    values = np.concatenate([np.ravel(each) for each in values]).astype(float)
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    if axes.get_yscale() == "log":
        axes.set_ylim(low / 1.3, high * 1.3)
    else:
        room = 0.08 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)


def draw_task(axes, task):
    drawn = []
    for rule, width in WIDTHS.items():
        if rule not in task.rules:
            continue
        point, colour = task.chosen[rule], style.COLOURS[rule]
        curve = task.curve(point) if point else None
        if curve:
            x, mean, least, most = np.array(curve[0]), *(task.scale * np.array(each) for each in curve[1:])
            axes.fill_between(x, least, most, color=colour, alpha=0.18, linewidth=0)
            axes.plot(x, mean, color=colour, label=f"{rule}, {point.label}", linewidth=width,
                      marker="o" if len(x) < 10 else None, markersize=1.5 * width)
            drawn.append(mean[x > 0] if (x > 0).any() else mean)
        elif task.outcome(rule) == "diverged":
            axes.plot([], [], color=colour, linewidth=width, label=f"{rule}: diverged")
    if task.chance:
        axes.axhline(task.chance, color=style.GREY, linewidth=0.9, linestyle=style.DASHED, zorder=1,
                     label="chance" if task.score == "accuracy" else "mean of targets")
    split, after = (SPLITS[task.choice[0]], AFTER.get(task.choice[0], "")) if task.choice else ("", "")
    axes.set(xlabel="epoch", ylabel=f"{split} {KEYS.get(task.score, '')}{after}".strip())
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.02)
    if task.score == "accuracy":
        axes.set_ylim(0, 102)
    elif drawn:
        frame(axes, drawn + [[task.chance]])
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def picture(tasks):
    rows = -(-len(tasks) // 2)
    figure = style.new_figure(height=ROW * rows + 8)
    chosen = choice_in_words(tasks)
    figure.suptitle("Mean and range over seeds" + f", each rule at the learning rate with\n{chosen}" * bool(chosen),
                    fontsize=8)
    grid = figure.add_gridspec(rows, 2)
    for i, task in enumerate(tasks):
        last = i == len(tasks) - 1 and i % 2 == 0 # alone in its row
        axes = figure.add_subplot(grid[i // 2, :] if last else grid[i // 2, i % 2])
        draw_task(axes, task)
        style.panel(axes, "abcdefghijklmnopqrstuvwxyz"[i % 26], style.plain(task.title))
    return figure


def draw(roots):
    """The table as text, the picture, and pairs of folder and reason of runs that cannot be read."""
    left_out = []
    tasks, others = find([pathlib.Path(root) for root in roots], left_out)
    if not tasks:
        raise Missing(*(f"tools/glesim configs/{PREFIX}{name}.yaml --seeds 1-3" for name in TASKS))
    return table(tasks, others), picture(tasks), left_out
