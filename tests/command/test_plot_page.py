"""tools/plot page and compare: many runs in one HTML file, in one picture and in one table. Standard library only.

tests/long/page.py looks at the page in a browser.
"""

import base64
import hashlib
import html.parser
import json
import os
import shutil
import sys
import unittest

from test_plot import PLOT, Case, has_packages, text_of

HOSTILE = "</script><script>alert(1)</script>&amp;<!--<b>"
SHORT = ["--set", "training.epochs=2"]


class Parts(html.parser.HTMLParser):
    """Tags with their attributes, and what is inside of scripts and styles, by id or tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.texts, self.policy = [], None, {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]
        if tag in ("script", "style"):
            self.inside = attrs.get("id") or tag
            self.texts[self.inside] = ""

    def handle_endtag(self, tag):
        self.inside = None if tag in ("script", "style") else self.inside

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside] += data


class ManyRuns(Case):
    def page(self, *args):
        """Its path, its parts, its data, and what was said on standard error."""
        out, err = self.call(PLOT, "page", *args)
        path = self.folder / out.removesuffix("\n")
        self.assertEqual(list(self.folder.glob("**/*.part")), [])
        parts = Parts(path.read_text(encoding="utf-8"))
        return path, parts, json.loads(parts.texts["data"]), err

    def refused(self, *args, code=2):
        out, err = self.call(PLOT, *args, code=code)
        self.assertEqual((out, err.count("\n")), ("", 1), err)
        return err

    def edit(self, folder, **keys):
        path = self.folder / folder / "metrics.json"
        report = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**report, **keys}), encoding="utf-8")
        return report


class Page(ManyRuns):
    def test_all_runs_with_what_sets_them_apart(self):
        self.glesim("xor.yaml", *SHORT, "--set", "sweep={learning.beta: [1, 0.5]}", "--seeds", "0-1")
        self.glesim("xor.yaml", *SHORT, "--set", "network.layers[0].neurons.tau_r=0.2", "--output", "results/slow")
        self.glesim("lagline.yaml", "--variant", "gle,bp", "--set", "training.phases[2].duration=10")
        path, parts, data, err = self.page()
        self.assertEqual((path, err, data["left_out"]), (self.folder / "results/index.html", "", []))
        runs = {run["folder"]: run for run in data["runs"]}
        self.assertEqual(list(runs), ["results/lagline/bp/seed_0", "results/lagline/gle/seed_0", "results/slow/seed_1",
                                      *(f"results/xor/beta={b}/seed_{s}" for b in ("0.5", "1") for s in (0, 1))])
        run = runs["results/xor/beta=0.5/seed_1"]
        report = json.loads((self.folder / run["folder"] / "metrics.json").read_text(encoding="utf-8"))
        self.assertEqual([run[key] for key in ("name", "variant", "point", "seed", "status")],
                         ["xor", "", "beta=0.5", 1, "completed"])
        self.assertEqual(run["accuracy"], [report["final"]["test"]["accuracy"], "test"])
        self.assertAlmostEqual(run["loss"][0], report["final"]["test"]["loss"], places=3)
        times = report["timing"]
        self.assertAlmostEqual(run["seconds"], times["train_seconds"] + times["eval_seconds"], places=3)
        self.assertEqual(run["differences"], [["tau_r", "network.layers[0].neurons.tau_r", "1.0"],
                                              ["beta", "learning.beta", "0.5"]])
        self.assertEqual(runs["results/slow/seed_1"]["differences"][0][2], "0.2")
        self.assertIn(["rule", "learning.rule", "bp"], runs["results/lagline/bp/seed_0"]["differences"])
        curves = {(key, split): (data["axes"][axis], y) for key, split, axis, y in run["curves"]}
        self.assertEqual(curves["accuracy", "test"], (["epoch", [0, 1, 2]], [e["test"]["accuracy"]
                                                                            for e in report["epochs"]]))
        (key, split, axis, y), = runs["results/lagline/gle/seed_0"]["curves"]
        over, x = data["axes"][axis]
        self.assertEqual((key, split, over, x[0], x[-1], len(y)), ("loss", "train", "time", 0, 60.01, len(x)))
        config = "\n".join(data["lines"][line] for line in run["config"]) + "\n"
        self.assertEqual(config, (self.folder / run["folder"] / "config.yaml").read_text(encoding="utf-8"))
        facts = {key: data["lines"][line] for key, line in run["facts"]}
        self.assertEqual((facts["version"], facts["data, SHA-256"]),
                         (report["provenance"]["version"], report["dataset"]["sha256"]))
        self.assertEqual((run["place"], run["files"]), ("xor/beta%3D0.5/seed_1",
                                                        ["metrics.json", "config.yaml", "weights.npz"]))
        ids = {attrs.get("id") for _, attrs in parts.tags}
        self.assertLessEqual({"filter", "count", "table", "charts", "one", "all"}, ids)

    def test_names_and_descriptions_are_text_and_only_its_own_script_may_run(self):
        self.glesim("xor.yaml", *SHORT, "--set", f"description={json.dumps(HOSTILE)}", "--output", "runs/a & <b>")
        os.rename(self.folder / "runs/a & <b>", os.fsencode(self.folder) + b"/runs/a & <b>#\xff")
        folder = "runs/a & <b>#\udcff/seed_1"
        self.edit(folder, name=HOSTILE, variant=HOSTILE, message=HOSTILE, sweep={HOSTILE: HOSTILE})
        path, parts, data, _ = self.page("runs", "--output", "page.html")
        self.assertEqual(path, self.folder / "page.html")
        run, = data["runs"]
        self.assertEqual([run[key] for key in ("name", "variant", "message", "description")], [HOSTILE] * 4)
        self.assertEqual((run["folder"], run["place"]), (folder, "runs/a%20%26%20%3Cb%3E%23%FF/seed_1"))
        self.assertIn("description: ", "\n".join(data["lines"]))
        scripts = [attrs.get("type") for tag, attrs in parts.tags if tag == "script"]
        self.assertEqual(scripts, ["application/json", None])
        self.assertNotIn("b", [tag for tag, _ in parts.tags])
        self.assertFalse([attrs for tag, attrs in parts.tags if tag in ("link", "img", "iframe") or "src" in attrs])
        own = {kind: base64.b64encode(hashlib.sha256(parts.texts[kind].encode()).digest()).decode()
               for kind in ("script", "style")}
        self.assertEqual(parts.policy, f"default-src 'none'; img-src data:; style-src 'sha256-{own['style']}'; "
                         f"script-src 'sha256-{own['script']}'")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "http://", "https://"):
            self.assertNotIn(way, parts.texts["script"].replace("http://www.w3.org/2000/svg", ""))

    def test_small_pictures_are_inside_and_others_are_links(self):
        self.glesim("xor.yaml", *SHORT, "--seeds", "0-2")
        picture, = self.plot("run", "results/xor/seed_0")
        (self.folder / "results/xor/seed_1/run.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1 << 20))
        os.mkfifo(self.folder / "results/xor/seed_2/run.png") # is not waited for
        _, parts, data, _ = self.page("results", "--output", "elsewhere")
        self.assertEqual([run["picture"] for run in data["runs"]], [0, None, None])
        self.assertEqual(base64.b64decode(parts.texts["picture-0"]), picture.read_bytes())
        self.assertEqual([run["files"][-1] for run in data["runs"]], ["run.png", "run.png", "weights.npz"])
        self.assertEqual(data["runs"][1]["place"], "../results/xor/seed_1")

    def test_runs_that_cannot_be_read_or_came_to_no_end(self):
        self.glesim("xor.yaml", *SHORT, "--seeds", "0-3")
        self.edit("results/xor/seed_0", final=None, best=None, status="running", epochs=[])
        self.edit("results/xor/seed_1", epochs=[{"epoch": 1}])
        (self.folder / "results/xor/seed_2/metrics.json").write_text("{")
        self.edit("results/xor/seed_3", variant=3)
        _, _, data, err = self.page("results")
        run, = data["runs"]
        self.assertEqual([run[key] for key in ("status", "accuracy", "loss", "curves")], ["broken off", None, None, []])
        self.assertEqual([folder for folder, _ in data["left_out"]], [f"results/xor/seed_{i}" for i in (1, 2, 3)])
        lines = err.splitlines()
        self.assertEqual(len(lines), 3)
        for line, seed, word in zip(lines, (1, 2, 3), ("not as glesim writes it", "no JSON", "'variant' is not a text")):
            self.assertTrue(line.startswith(f"plot: left out: results/xor/seed_{seed}"), line)
            self.assertIn(word, line)

    def test_wrong_use(self):
        self.glesim("xor.yaml", *SHORT)
        (self.folder / "empty").mkdir()
        (self.folder / "file").write_text("")
        cases = ((["page", "nothing"], 4, "nothing: no such folder"), (["page", "empty"], 4, "empty: no run below it"),
                 (["page", "--format", "png"], 2, "--format means nothing to page"),
                 (["run", "empty", "--runs", "x"], 2, "--runs means nothing to run"),
                 (["compare", "empty", "--speech", "x"], 2, "--speech means nothing to compare"),
                 (["compare"], 2, "which runs?"), (["compare", "empty"], 4, "empty: no run below it"),
                 (["page", "results", "--output", "file/x.html"], 3, "cannot write: "))
        for (args, code, words), found in zip(cases, self.plot_each(args for args, _, _ in cases), strict=True):
            self.assertEqual((found[0], found[1], found[2].count("\n")), (code, "", 1), (args, found))
            self.assertIn(words, found[2])


class Compare(ManyRuns):
    def compare(self, *args):
        """The rows of the table, each a list of cells, and the text of the picture."""
        out, err = self.call(PLOT, "compare", *args, "--format", "svg")
        table, _, path = out.rstrip("\n").rpartition("\n\n")
        rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]
        return rows, text_of(self.folder / path), err

    def test_points_of_a_sweep_over_their_seeds(self):
        self.glesim("xor.yaml", *SHORT, "--set", "sweep={learning.optimizer.lr: [3e-2, 1e-1, 1e-4]}", "--seeds", "0-1")
        rows, text, _ = self.compare("results/xor")
        self.assertEqual([row[0] for row in rows], ["config", "xor / lr=0.0001", "xor / lr=0.03", "xor / lr=0.1"])
        self.assertEqual(rows[0][1:], ["seeds", "test accuracy, final (%)", "test accuracy, best epoch (%)",
                                       "test loss, final", "test loss, best epoch", "time a run"])
        summary = json.loads((self.folder / "results/xor/summary.json").read_text(encoding="utf-8"))
        final = summary["points"][0]["final"]["test"]
        mean, std = (100 * final["accuracy"][key] for key in ("mean", "std"))
        self.assertEqual(rows[2][1:3], ["2", f"{mean:.1f} ± {std:.1f}"])
        self.assertEqual(rows[2][4], f"{final['loss']['mean']:.4g} ± {final['loss']['std']:.2g}")
        for part in ("3 configs: mean ± s.d. over seeds", "xor / lr=0.0001", "test accuracy (%) at the end", "epoch"):
            self.assertIn(part, text)
        self.assertTrue((self.folder / "results/xor/compare.svg").exists())

    def test_variants_and_runs_of_one_name_that_differ(self):
        self.glesim("lagline.yaml", "--variant", "gle,bp", "--set", "training.phases[2].duration=10")
        self.glesim("xor.yaml", *SHORT, "--seeds", "0-2")
        self.glesim("xor.yaml", *SHORT, "--set", "learning.beta=0.5", "--output", "results/other")
        shutil.copytree(self.folder / "results/xor", self.folder / "copy/xor")
        self.edit("results/xor/seed_2", status="interrupted")
        rows, text, _ = self.compare("results", "copy", "--output", ".")
        self.assertEqual([row[:2] for row in rows[1:]],
                         [["lagline / bp", "1"], ["lagline / gle", "1"], ["xor: beta=0.5", "1"],
                          ["xor: beta=1.0 in copy/xor", "3"], ["xor: beta=1.0 in results/xor", "2 of 3"]])
        self.assertEqual(rows[1][2:4], ["-", "-"]) # no accuracy
        self.assertIn("loss in the last steps of training", rows[0])
        self.assertIn("train loss", text)

    def test_the_two_scores_of_the_training_set(self):
        self.glesim("xor.yaml", *SHORT, "--seeds", "0-1", "--set", "training.evaluate={train: all}")
        self.glesim("xor.yaml", *SHORT, "--output", "results/other")
        rows, text, _ = self.compare("results", "--output", ".")
        self.assertEqual(len(rows), 3)
        for words in "training, on the way", "training, after the epoch", "training loss", "test loss":
            self.assertIn(words, text)
        _, parts, data, _ = self.page("results")
        self.assertEqual(sorted({curve[1] for run in data["runs"] for curve in run["curves"]}),
                         ["test", "train", "train_after"])
        self.assertIn("training, after the epoch", parts.texts["script"])

    def test_nothing_to_compare(self):
        self.glesim("xor.yaml", *SHORT)
        self.edit("results/xor/seed_1", status="diverged")
        self.assertIn("results: no completed run to compare", self.refused("compare", "results", code=4))


if __name__ == "__main__":
    if not has_packages():
        sys.exit(77) # as meson knows it
    unittest.main(verbosity=2)
