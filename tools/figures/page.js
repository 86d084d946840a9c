
// The list of runs, what is drawn of them, and the page of each. Whatever comes out of a run is put in by textContent.

const data = JSON.parse(document.getElementById("data").textContent);
const runs = data.runs;
const SPLITS = { test: "", validation: "6 3", train_after: "8 2 2 2", train: "2 3" }; // dashes of curves
const NAMED_COLOURS = 8; // in the style; others are made
const CHUNK = 200;       // rows that are made at a time
const MOST_NAMES = 30;   // in the legend
const byId = (id) => document.getElementById(id);

function of(pair, words) {
  return pair ? `${words(pair[0])} (${pair[1]})` : "";
}

function titleOf(run) {
  return [run.name, run.variant, run.point].filter(Boolean).join(" / ");
}

function differencesOf(run) {
  return run.differences.map(([key, , value]) => `${key}=${value}`).join(", ");
}

// The two scores of the training set, where there are both.
const TRAINING = runs.some((run) => run.curves.some((curve) => curve[1] === "train_after"))
  ? { train: "training, on the way", train_after: "training, after the epoch" } : {};
function splitName(split) {
  return TRAINING[split] || split;
}

// --- Colours and curves that are drawn

const drawn = new Map(); // from the number of a run to that of its colour, in the order of choice
let groups = new Map();  // the same for configs

function paint(number) {
  return number < NAMED_COLOURS ? `var(--c${number})`
    : `hsl(${Math.round(number * 137.5) % 360} ${number % 2 ? 80 : 55}% var(--lightness))`;
}

function groupOf(run) {
  return JSON.stringify([titleOf(run), run.differences]);
}

function colourOf(i) {
  return paint(byId("colours").value === "run" ? drawn.get(i) : groups.get(groupOf(runs[i])));
}

// What all folders begin with, which need not stand in each row.
function commonFolder() {
  if (!runs.length) return "";
  let common = runs[0].folder.slice(0, runs[0].folder.lastIndexOf("/") + 1);
  while (!runs.every((run) => run.folder.startsWith(common))) {
    common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  }
  return common;
}
const common = commonFolder();

function nameOf(run) {
  return `${titleOf(run)}, seed ${run.seed}`;
}

function spansDecades(series) {
  let low = Infinity, high = -Infinity;
  for (const each of series) {
    for (const y of each.y) {
      if (y <= 0) return false;
      low = Math.min(low, y); high = Math.max(high, y);
    }
  }
  return high > 30 * low;
}

// The charts of some runs, of what they have: loss and accuracy, over epochs and over time.
function chartsOf(numbers, splits, colour, name, scale, dashed) {
  const found = [];
  for (const key of ["loss", "accuracy"]) {
    for (const over of ["epoch", "time"]) {
      const series = [];
      for (const i of numbers) {
        for (const [kind, split, axis, y] of runs[i].curves) {
          if (kind !== key || data.axes[axis][0] !== over || !splits.has(split)) continue;
          series.push({ x: data.axes[axis][1], y, colour: colour(i, split), dash: dashed ? SPLITS[split] : "", split,
            name: name(i, split) });
        }
      }
      if (series.length) {
        const log = key === "loss" && (scale === "log" || (scale === "auto" && spansDecades(series)));
        const phases = over === "time" && series.some((each) => each.split === "train");
        const title = (key === "loss" ? "Loss" : "Accuracy") + (!phases ? ""
          : key === "loss" ? " (train: means of phases, and of their last steps)" : " (train: means of phases)");
        found.push(chart(title, over, series, log, key === "accuracy"));
      }
    }
  }
  return found;
}

// --- The table

const number = (value) => (value === null || value === undefined ? null : value);
const columns = [
  { head: "", of: (run, i) => (drawn.has(i) ? 0 : 1), title: "drawn" },
  { head: "name", of: (run) => run.name },
  { head: "variant", of: (run) => run.variant },
  { head: "sweep point", of: (run) => run.point },
  { head: "seed", of: (run) => run.seed, number: true },
  { head: "status", of: (run) => run.status },
  { head: "accuracy", of: (run) => number(run.accuracy && run.accuracy[0]), number: true, first: -1 },
  { head: "loss", of: (run) => number(run.loss && run.loss[0]), number: true },
  { head: "time", of: (run) => run.seconds, number: true },
  { head: "settings that differ", of: differencesOf },
  { head: "folder", of: (run) => run.folder },
].filter((column) => !["variant", "sweep point", "settings that differ"].includes(column.head)
  || runs.some((run) => column.of(run) !== ""));
const words = runs.map((run) => [run.name, run.variant, run.point, `seed ${run.seed}`, run.status, run.message,
  run.description, differencesOf(run), run.folder].join("\n").toLowerCase());
let order = runs.map((_, i) => i);        // as sorted
let shownRuns = order;                    // of these, what the filter leaves
let rows = new Map();                     // made so far, by run
let sorted = { column: null, way: 1 };
let current = null;                       // the run whose row takes the keys
const compare = new Intl.Collator("en", { numeric: true }).compare;

function sortBy(column) {
  sorted = { column, way: sorted.column === column ? -sorted.way : column.first || 1 };
  const keys = runs.map((run, i) => column.of(run, i));
  const missing = (value) => value === null || value === "";
  order = [...order].sort((a, b) => {
    if (missing(keys[a]) || missing(keys[b])) return missing(keys[a]) - missing(keys[b]); // the last, either way
    return sorted.way * (typeof keys[a] === "number" ? keys[a] - keys[b] : compare(keys[a], keys[b]));
  });
  for (const each of columns) {
    each.cell.setAttribute("aria-sort", each !== column ? "none" : sorted.way > 0 ? "ascending" : "descending");
    each.button.textContent = each.head + (each !== column ? "" : sorted.way > 0 ? " ▲" : " ▼");
  }
  filter();
}

function filter() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  shownRuns = order.filter((i) => wanted.every((word) => words[i].includes(word)));
  const some = shownRuns.length < runs.length ? `${shownRuns.length} of ` : "";
  byId("count").textContent = `${some}${runs.length} runs`;
  byId("none").hidden = shownRuns.length > 0;
  byId("select").disabled = shownRuns.length === 0;
  rows = new Map();
  byId("table").tBodies[0].replaceChildren();
  current = shownRuns.length ? shownRuns[0] : null;
  more();
}

function mark(i) {
  const row = rows.get(i);
  if (!row) return;
  row.setAttribute("aria-selected", drawn.has(i));
  row.cells[0].firstChild.style.background = drawn.has(i) ? colourOf(i) : "";
}

function valueCell(pair, words) {
  const cell = element("td", { className: "number" });
  const what = pair && pair[1] === "training, last steps" ? "last steps" : pair && pair[1];
  if (pair) cell.append(words(pair[0]), element("small", { textContent: what }));
  return cell;
}

function cut(text, kind = "") {
  return element("td", { className: `cut ${kind}`, textContent: text, title: text });
}

function link(i, text) {
  return element("a", { href: "#run=" + encodeURIComponent(runs[i].folder), textContent: text, tabIndex: -1 });
}

function rowOf(i) {
  const run = runs[i], row = element("tr", { tabIndex: i === current ? 0 : -1 });
  const cells = {
    "": () => element("td", {}, element("span", { className: "swatch" })),
    name: () => element("td", {}, link(i, run.name)),
    variant: () => cut(run.variant),
    "sweep point": () => cut(run.point),
    seed: () => element("td", { className: "number", textContent: run.seed }),
    status: () => element("td", { className: run.status.split(" ")[0], textContent: run.status,
      title: run.message }),
    accuracy: () => valueCell(run.accuracy, percent),
    loss: () => valueCell(run.loss, short),
    time: () => element("td", { className: "number", textContent: duration(run.seconds) }),
    "settings that differ": () => cut(differencesOf(run)),
    folder: () => cut(run.folder.slice(common.length), "folder"),
  };
  row.append(...columns.map((column) => cells[column.head]()));
  row.dataset.run = i;
  return row;
}

// Makes the next rows; they are made as far as somebody looks.
function more() {
  const made = rows.size, body = byId("table").tBodies[0], part = document.createDocumentFragment();
  for (const i of shownRuns.slice(made, made + CHUNK)) {
    const row = rowOf(i);
    rows.set(i, row);
    mark(i);
    part.append(row);
  }
  body.append(part);
}

function toCurrent(i) {
  while (!rows.has(i)) more();
  if (rows.has(current)) rows.get(current).tabIndex = -1;
  current = i;
  rows.get(i).tabIndex = 0;
  rows.get(i).focus();
}

// --- What is drawn

function choose(numbers, on) {
  const taken = new Set(drawn.values());
  let free = 0;
  for (const i of numbers) {
    if (!on) drawn.delete(i);
    if (!on || drawn.has(i)) continue;
    while (taken.has(free)) free++;
    drawn.set(i, free++);
  }
  draw();
}

function draw() {
  const numbers = [...drawn.keys()];
  groups = new Map([...new Set(numbers.map((i) => groupOf(runs[i])))].map((group, k) => [group, k]));
  for (const i of rows.keys()) mark(i);
  byId("clear").disabled = !numbers.length;
  byId("curves").hidden = !numbers.length;
  const there = new Set(numbers.flatMap((i) => runs[i].curves.map((curve) => curve[1])));
  const wanted = new Set();
  for (const box of byId("splits").querySelectorAll("input")) {
    box.parentNode.hidden = !there.has(box.value);
    if (box.checked) wanted.add(box.value);
  }
  const charts = chartsOf(numbers, wanted, colourOf, (i, split) => `${nameOf(runs[i])}, ${splitName(split)}`,
    byId("scale").value, true);
  byId("charts").replaceChildren(...(charts.length ? charts
    : [element("p", { className: "quiet", textContent: "These runs have no curves of this kind." })]));
  const names = new Map(), byRun = byId("colours").value === "run";
  const titles = [...groups.keys()].map((group) => JSON.parse(group)[0]);
  for (const i of numbers) {
    const title = titleOf(runs[i]), alone = titles.filter((each) => each === title).length < 2;
    const name = byRun ? nameOf(runs[i]) : alone ? title : `${title}: ${differencesOf(runs[i])}`;
    names.set(byRun ? i : colourOf(i), [name, colourOf(i)]); // runs may be called the same
  }
  const items = [...names.values()].slice(0, MOST_NAMES).map(([name, colour]) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = colour;
    return element("li", {}, swatch, name);
  });
  if (names.size > MOST_NAMES) {
    items.push(element("li", { className: "quiet", textContent: `and ${names.size - MOST_NAMES} more` }));
  }
  byId("legend").replaceChildren(...items);
}

// --- One run

function pairs(list) {
  const made = element("dl");
  for (const [key, value] of list) {
    if (value === "" || value === null) continue;
    made.append(element("dt", { textContent: key }), element("dd", { textContent: value }));
  }
  return made;
}

function part(title, ...content) {
  return element("section", {}, element("h2", { textContent: title }), ...content);
}

function showRun(run) {
  const i = runs.indexOf(run), place = (name) => (run.place === "." ? name : `${run.place}/${name}`);
  const facts = pairs([
    ["status", run.status + (run.message ? `: ${run.message}` : "")],
    ["accuracy", of(run.accuracy, percent)], ["loss", of(run.loss, short)],
    ["best accuracy", of(run.best_accuracy, percent)], ["its loss", of(run.best_loss, short)],
    ["time", duration(run.seconds)], ["folder", run.folder]]);
  const names = ["test", "validation", "train", "train_after"];
  const charts = chartsOf([i], new Set(names), (_, split) => paint(names.indexOf(split)), (_, split) => splitName(split),
    "auto", false);
  const there = names.filter((split) => run.curves.some((curve) => curve[1] === split));
  const legend = element("ul", { className: "legend" }, ...there.map((split) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = paint(names.indexOf(split));
    return element("li", {}, swatch, splitName(split));
  }));
  const files = element("ul", { className: "files" }, ...run.files.map((name) =>
    element("li", {}, element("a", { href: place(name), textContent: name }))));
  const content = [
    element("nav", {}, element("a", { href: "#", textContent: "← all runs" })),
    element("h1", { textContent: nameOf(run), tabIndex: -1 }),
    element("p", { textContent: run.description }),
    element("div", { className: "sides" }, part("Outcome", facts),
      part("Settings that differ from other runs of this name",
        run.differences.length ? pairs(run.differences.map(([, key, value]) => [key, value]))
          : element("p", { className: "quiet", textContent: "none" })))];
  if (charts.length) content.push(part("Curves", element("div", { className: "charts" }, ...charts), legend));
  if (run.picture !== null) {
    const picture = element("img", { alt: `what tools/plot run drew of ${nameOf(run)}` });
    picture.src = "data:image/png;base64," + byId(`picture-${run.picture}`).textContent;
    content.push(part("Picture", picture));
  } else {
    const large = run.files.includes("run.png");
    content.push(part("Picture", large
      ? element("p", {}, element("a", { href: place("run.png"), textContent: "run.png" }), " is too large for this page.")
      : element("p", { className: "quiet", textContent: `tools/plot run ${run.folder} makes one for the next page.` })));
  }
  const config = run.config.map((line) => data.lines[line]).join("\n");
  content.push(part("Config", config ? element("pre", { textContent: config, tabIndex: 0 })
    : element("p", { className: "quiet", textContent: "There is no config.yaml in the folder." })));
  content.push(part("Provenance", pairs(run.facts.map(([key, value]) => [key, data.lines[value]]))));
  content.push(part("Files", files));
  byId("one").replaceChildren(...content);
  byId("one").querySelector("h1").focus();
}

let left = null; // where the list was, and which row, when a run was opened

function route() {
  const wanted = location.hash.startsWith("#run=") ? decodeURIComponent(location.hash.slice(5)) : null;
  const run = wanted === null ? undefined : runs.find((each) => each.folder === wanted);
  if (run && !byId("all").hidden) left = window.scrollY;
  byId("all").hidden = Boolean(run);
  byId("one").hidden = !run;
  document.title = run ? `${nameOf(run)} · glesim` : "glesim: runs";
  if (run) {
    showRun(run);
    window.scrollTo(0, 0);
  } else if (left !== null) {
    byId("one").replaceChildren();
    window.scrollTo(0, left);
    if (rows.has(current)) rows.get(current).focus({ preventScroll: true });
  }
}

// --- Wiring

function runOf(event) {
  const row = event.target.closest("tbody tr");
  return row ? Number(row.dataset.run) : null;
}

byId("table").addEventListener("click", (event) => {
  const i = runOf(event);
  if (i === null || String(getSelection())) return;
  toCurrent(i);
  if (!event.target.closest("a")) choose([i], !drawn.has(i));
});

byId("table").addEventListener("keydown", (event) => {
  const i = runOf(event);
  if (i === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const at = shownRuns.indexOf(i), last = shownRuns.length - 1;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + 20, PageUp: at - 20 }[event.key];
  if (to !== undefined) toCurrent(shownRuns[Math.max(0, Math.min(last, to))]);
  else if (event.key === " ") choose([i], !drawn.has(i));
  else if (event.key === "Enter") location.hash = "run=" + encodeURIComponent(runs[i].folder);
  else return;
  event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("one").hidden) location.hash = "";
  if (event.key === "/" && !byId("all").hidden && !event.target.closest("input, select")) {
    byId("filter").focus();
    event.preventDefault();
  }
});

for (const split of Object.keys(SPLITS)) {
  const box = element("input", { type: "checkbox", value: split, checked: true });
  const dash = svg("svg", { width: 26, height: 8 });
  const line = svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, "stroke-dasharray": SPLITS[split] });
  line.style.stroke = "currentColor";
  line.style.strokeWidth = 2;
  dash.append(line);
  box.addEventListener("change", draw);
  byId("splits").append(element("label", {}, box, splitName(split), dash));
}
for (const column of columns) {
  column.button = element("button", { type: "button", textContent: column.head,
    title: `sort by ${column.title || column.head}` });
  column.button.setAttribute("aria-label", column.title || column.head);
  column.cell = element("th", { scope: "col", className: column.number ? "number" : "" }, column.button);
  column.button.addEventListener("click", () => sortBy(column));
  byId("table").tHead.rows[0].append(column.cell);
}
byId("roots").textContent = data.roots.join(", ");
byId("made").textContent = `Made ${data.made} by glesim ${data.version}; a new page: tools/plot page `
  + data.roots.join(" ");
if (data.left_out.length) {
  byId("left-out").hidden = false;
  byId("left-out").querySelector("summary").textContent =
    `${data.left_out.length} not shown, whose reports cannot be read`;
  byId("left-out").querySelector("ul").append(...data.left_out.map(([folder, why]) =>
    element("li", { textContent: `${folder}: ${why}` })));
}
byId("filter").addEventListener("input", filter);
byId("colours").addEventListener("change", draw);
byId("scale").addEventListener("change", draw);
byId("select").addEventListener("click", () => choose(shownRuns, true));
byId("clear").addEventListener("click", () => choose([...drawn.keys()], false));
window.addEventListener("hashchange", route);
new IntersectionObserver((seen) => {
  if (seen.some((each) => each.isIntersecting) && rows.size < shownRuns.length) more();
}, { rootMargin: "600px" }).observe(byId("none").parentNode.appendChild(element("div", { id: "end" })));
filter();
route();
requestAnimationFrame(() => setTimeout(() => {
  document.documentElement.dataset.ready = Math.round(performance.now()); // for who measures
}));
