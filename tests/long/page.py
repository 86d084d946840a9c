#!/usr/bin/env python3
"""What tools/plot page makes of a thousand runs, in headless Chromium: by the mouse and by keys, light and dark.

usage: page.py GLESIM [--pictures DIR]     (screenshots go to DIR)
Needs chromium (Debian: apt-get install chromium); says so, and ends with 77, where it is missing.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = 1000
SECONDS = 2.0 # in which they open
HOSTILE = "<script>document.title='taken'</script>&amp;<img src=x onerror=\"document.title='taken'\">"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars",
         "--window-size=1400,1000", "--no-first-run"]
PATIENCE = 30 # seconds for anything


class Browser:
    """A page in Chromium, spoken with over a pipe in the DevTools protocol."""

    def __init__(self, profile):
        ours, its_out = os.pipe()
        its_in, self.to = os.pipe()
        self.replies = os.fdopen(ours, "rb")
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec chromium "$@" 3<&{its_in} 4>&{its_out}', "sh", *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(its_in, its_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(its_in)
        os.close(its_out)
        self.count, self.session, self.rest, self.requests = 0, None, b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            part = self.replies.read1(1 << 20)
            if not part:
                raise SystemExit("page: chromium has gone")
            self.rest += part
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def call(self, method, **parameters):
        self.count += 1
        call = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.to, json.dumps(call).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") == self.count:
                if "error" in message:
                    raise SystemExit(f"page: {method}: {message['error']}")
                return message["result"]

    def ask(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"page: {expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression, wanted):
        end = time.monotonic() + PATIENCE
        while (found := self.ask(expression)) != wanted:
            if time.monotonic() > end:
                raise SystemExit(f"page: {expression} is {found!r} in place of {wanted!r}")
            time.sleep(0.02)

    def open(self, path):
        """Returns the seconds until the page is there."""
        self.call("Page.navigate", url=path.as_uri())
        self.until("document.documentElement?.dataset.ready > 0 && location.protocol", "file:")
        return float(self.ask("document.documentElement.dataset.ready")) / 1000

    def key(self, key, code=None, text=None):
        which = {"Enter": 13, "Escape": 27, " ": 32, "Home": 36, "ArrowUp": 38, "ArrowDown": 40, "End": 35}.get(key, 0)
        same = {"key": key, "code": code or key, "windowsVirtualKeyCode": which}
        self.call("Input.dispatchKeyEvent", type="keyDown", **same, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def type(self, text):
        for letter in text:
            self.key(letter, text=letter)

    def click(self, selector):
        x, y = self.ask(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
                        "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
                        "return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shot(self, path):
        if path:
            path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.to)
        self.replies.close()


def make_runs(glesim, folder):
    """A thousand runs of four points by fifty epochs, of which glesim made one, and one with a hostile name."""
    subprocess.run([glesim, ROOT / "configs/xor.yaml", "--quiet", "--set", "training.epochs=50", "--output",
                    folder / "results/one"], check=True)
    made = folder / "results/one/seed_1"
    report = json.loads((made / "metrics.json").read_text(encoding="utf-8"))
    text = (made / "config.yaml").read_text(encoding="utf-8")
    for i in range(RUNS - 1):
        beta = (1.0, 0.5, 0.25, 0.125)[i % 4]
        run = folder / f"results/many/beta={beta}/seed_{i}"
        run.mkdir(parents=True)
        config = {**report["config"], "learning": {**report["config"]["learning"], "beta": beta}}
        final = {**report["final"], "test": {"loss": 0.5 + i / 1000, "accuracy": 1 - i / 2000}}
        epochs = [{**e, "test": {**e["test"], "loss": e["test"]["loss"] * (1 + i / 1000)}} for e in report["epochs"]]
        one = {**report, "name": "many", "seed": i, "sweep": {"learning.beta": beta}, "config": config, "final": final,
               "epochs": epochs, "status": "diverged" if i == 77 else "completed"}
        if i == 5:
            one.update(name=HOSTILE, message=HOSTILE, config={**config, "description": HOSTILE})
        (run / "metrics.json").write_text(json.dumps(one), encoding="utf-8")
        (run / "config.yaml").write_text(text.replace("beta: 1.0", f"beta: {beta}"), encoding="utf-8")
    subprocess.run([ROOT / "tools/plot", "run", made], check=True, stdout=subprocess.DEVNULL)


def equal(found, wanted, what):
    if found != wanted:
        raise SystemExit(f"page: {what}: {found!r} in place of {wanted!r}")


def names(column):
    cells = f"document.querySelectorAll('#table tbody td:nth-child({column})')"
    return f"[...{cells}].slice(0, 3).map((e) => e.textContent)"


def check_list(b, pictures):
    """Sorted and filtered by the mouse and by keys, and curves over each other."""
    equal(b.ask("document.getElementById('count').textContent"), f"{RUNS} runs", "count")
    equal(b.ask("document.querySelectorAll('#table tbody tr').length < 500"), True, "rows are made as far as one looks")
    heads = b.ask("[...document.querySelectorAll('#table th button')].map((e) => e.getAttribute('aria-label'))")
    accuracy, seed = heads.index("accuracy") + 1, heads.index("seed") + 1
    b.click(f"#table th:nth-child({accuracy}) button")
    equal(b.ask(f"document.querySelector('#table th:nth-child({accuracy})').getAttribute('aria-sort')"), "descending",
          "a click sorts, the best first")
    equal(b.ask(names(accuracy))[:2], ["100.0 %test", "100.0 %test"], "the best")
    b.key("Enter", text="\r") # the button has the focus
    equal(b.ask(names(seed)), ["998", "997", "996"], "the key turns the order round")
    b.ask("document.activeElement.blur()")
    b.key("/", text="/")
    b.type("beta=0.25 seed 1")
    b.until("document.getElementById('count').textContent.endsWith(' of 1000 runs')", True)
    equal(b.ask("[...document.querySelectorAll('#table tbody tr')].every((e) => e.textContent.includes('beta=0.25'))"),
          True, "the filter")
    b.click("#table tbody tr:nth-child(2)")
    b.key("ArrowDown")
    b.key(" ", "Space")
    b.key("ArrowDown")
    b.key(" ", "Space")
    equal(b.ask("document.querySelectorAll('#table tr[aria-selected=true]').length"), 3, "rows drawn")
    equal(b.ask("document.querySelectorAll('#charts .chart').length"), 2, "charts, of loss and of accuracy")
    equal(b.ask("document.querySelectorAll('#charts .chart:first-child .curve').length"), 6, "of test and training")
    equal(b.ask("new Set([...document.querySelectorAll('#legend .swatch')].map((e) => e.style.background)).size"), 3,
          "colours")
    b.shot(pictures and pictures / "list.png")
    b.click("#clear")
    equal(b.ask("document.getElementById('curves').hidden"), True, "no curves after Clear")
    b.ask("(() => { const filter = document.getElementById('filter'); filter.value = ''; "
          "filter.dispatchEvent(new Event('input')); })()")
    started = time.monotonic()
    b.click("#select")
    b.until("document.querySelectorAll('#charts .chart:first-child .curve').length", 2 * RUNS)
    print(f"page: curves of {RUNS} runs drawn in {time.monotonic() - started:.2f} s")
    b.click("#clear")


def check_run(b, pictures):
    """A run's own page, by keys; its words are text."""
    b.ask("document.activeElement.blur()")
    b.key("/", text="/")
    b.type("taken")
    b.until("document.getElementById('count').textContent", "1 of 1000 runs")
    b.ask("document.querySelector('#table tbody tr').focus()")
    b.key("Enter", text="\r")
    b.until("document.getElementById('one').hidden", False)
    text = b.ask("document.getElementById('one').textContent")
    equal(text.count(HOSTILE), 3, "name, description and message as they are")
    equal(b.ask("document.querySelectorAll('#one script, #one img[src=x]').length"), 0, "elements out of texts")
    equal(b.ask("document.title").startswith("<script>"), True, "the title is not taken")
    b.key("Escape")
    b.until("document.getElementById('all').hidden", False)
    b.click("#table tbody tr a")
    b.until("document.getElementById('one').hidden", False)
    b.click("#one nav a")
    b.until("document.getElementById('all').hidden", False)
    equal(b.ask("document.activeElement.tagName"), "TR", "the focus is back in the list")
    b.ask("location.hash = 'run=' + encodeURIComponent(runs.find((run) => run.picture !== null).folder)")
    b.until("document.querySelector('#one img')?.naturalWidth > 0", True)
    equal("  hidden" in b.ask("document.querySelector('#one pre').textContent"), False, "indentation")
    equal("name: xor" in b.ask("document.querySelector('#one pre').textContent"), True, "the config")
    b.shot(pictures and pictures / "run.png")
    b.key("Escape")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glesim", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    args = parser.parse_args()
    if not shutil.which("chromium"):
        print("page: skipped: no chromium (apt-get install chromium)", file=sys.stderr)
        return 77
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="glesim-page-", ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        make_runs(args.glesim.resolve(), folder)
        started = time.monotonic()
        subprocess.run([ROOT / "tools/plot", "page"], cwd=folder, check=True)
        size = (folder / "results/index.html").stat().st_size
        print(f"page: {RUNS} runs in {time.monotonic() - started:.1f} s, {size / 1e6:.1f} MB")
        b = Browser(folder / "profile")
        try:
            for colours in ("light", "dark"):
                b.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
                seconds = b.open(folder / "results/index.html")
                print(f"page: {colours}: opened in {seconds:.2f} s")
                if seconds > SECONDS:
                    raise SystemExit(f"page: takes {seconds} s to open, more than {SECONDS}")
                light = b.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
                equal(light, colours == "light", "the background")
                place = args.pictures and args.pictures / colours
                if place:
                    place.mkdir(exist_ok=True)
                check_list(b, place)
                check_run(b, place)
            outside = [url for url in b.requests if not url.startswith(("file:", "data:", "about:"))]
            equal(outside, [], "requests")
        finally:
            b.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
