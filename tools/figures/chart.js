
"use strict";
// Charts of curves over each other, as SVG. Texts are put in by textContent alone, and stay text.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// --- Numbers as text

function short(value) {
  if (value === null || value === undefined) return "";
  const rounded = Number(value.toPrecision(4)), size = Math.abs(rounded);
  return rounded && (size < 1e-3 || size >= 1e6) ? rounded.toExponential() : String(rounded);
}

function percent(value) {
  return (100 * value).toFixed(1) + " %";
}

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 1) return Math.round(1000 * seconds) + " ms";
  if (seconds < 60) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds), pad = (n) => String(n).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`
    : `${Math.floor(whole / 3600)} h ${pad(Math.floor(whole / 60) % 60)} min`;
}

// --- A chart

function svg(name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function ticks(low, high, most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

function logTicks(low, high) {
  const found = [], every = Math.ceil((high - low) / 6) || 1;
  for (let k = Math.ceil(low - 1e-9); k <= high + 1e-9; k += every) found.push(k);
  return found.length > 1 ? found : [low, high];
}

// series: {x, y, colour, dash, name}. Values that a logarithmic axis does not have are left out, and counted.
function chart(title, xLabel, series, logarithmic, shares) {
  const width = 560, height = 270, left = 56, right = 12, top = 26, bottom = 40;
  let outside = 0;
  const scaled = series.map((each) => {
    const points = each.x.map((x, k) => [x, each.y[k]]);
    const known = logarithmic ? points.filter(([, y]) => y > 0) : points;
    outside += points.length - known.length;
    return { ...each, points: known.map(([x, y]) => [x, logarithmic ? Math.log10(y) : y, y]) };
  });
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const each of scaled) {
    for (const [x, y] of each.points) {
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
  }
  if (x0 > x1) [x0, x1, y0, y1] = [0, 1, 0, 1];
  if (x0 === x1) [x0, x1] = [x0 - 0.5, x1 + 0.5];
  if (shares) [y0, y1] = [0, 1];
  const margin = shares ? 0.02 : 0.04 * (y1 - y0) || 0.05 * Math.abs(y0) || 0.5;
  [y0, y1] = [y0 - margin, y1 + margin];
  const px = (x) => left + (x - x0) / (x1 - x0) * (width - left - right);
  const py = (y) => height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} over ${xLabel}` });
  const note = logarithmic && outside ? ` (${outside} values not above 0 left out)` : "";
  root.append(svg("text", { x: left, y: 16, class: "title" }, title + note));
  for (const y of logarithmic ? logTicks(y0, y1) : ticks(y0, y1, 5)) {
    root.append(svg("line", { x1: left, x2: width - right, y1: py(y), y2: py(y), class: "grid" }));
    const label = shares ? Math.round(100 * y) + " %" : short(logarithmic ? Number((10 ** y).toPrecision(2)) : y);
    root.append(svg("text", { x: left - 6, y: py(y) + 4, "text-anchor": "end" }, label));
  }
  for (const x of ticks(x0, x1, 6)) {
    root.append(svg("text", { x: px(x), y: height - bottom + 16, "text-anchor": "middle" }, short(x)));
  }
  root.append(svg("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xLabel));
  const curves = svg("g"), lines = scaled.map((each) => {
    const at = each.points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`);
    const [cx, cy] = at.length === 1 ? at[0].split(",") : [];
    const line = at.length === 1 ? svg("circle", { cx, cy, r: 3, class: "curve" })
      : svg("polyline", { points: at.join(" "), class: "curve", "stroke-dasharray": each.dash });
    line.style.stroke = each.colour;
    curves.append(line);
    return line;
  });
  root.append(curves);
  const tip = element("div", { className: "tip", hidden: true });
  const box = element("div", { className: "chart" }, root, tip);
  let near = null;
  root.addEventListener("pointermove", (event) => {
    const rect = root.getBoundingClientRect(), scale = width / rect.width;
    const mx = (event.clientX - rect.left) * scale, my = (event.clientY - rect.top) * scale;
    let best = [900, -1, null]; // squared distance in units of the chart
    scaled.forEach((each, k) => {
      for (const point of each.points) {
        const d = (px(point[0]) - mx) ** 2 + (py(point[1]) - my) ** 2;
        if (d < best[0]) best = [d, k, point];
      }
    });
    if (near) near.classList.remove("near");
    near = best[1] < 0 ? null : lines[best[1]];
    tip.hidden = !near;
    curves.classList.toggle("dim", near !== null && lines.length > 1);
    if (!near) return;
    near.classList.add("near");
    const [, k, [x, , y]] = best;
    tip.textContent = `${scaled[k].name}: ${shares ? percent(y) : short(y)} at ${xLabel} ${short(x)}`;
    const px0 = px(best[2][0]) / scale, py0 = py(best[2][1]) / scale;
    tip.style.top = py0 + 20 + "px";
    tip.style.left = px0 < rect.width / 2 ? px0 + 14 + "px" : "auto";
    tip.style.right = px0 < rect.width / 2 ? "auto" : rect.width - px0 + 14 + "px";
  });
  root.addEventListener("pointerleave", () => {
    tip.hidden = true;
    curves.classList.remove("dim");
  });
  return box;
}
