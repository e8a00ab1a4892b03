// Keeps the page alive: asks for the figures and fills the elements that name them. The formats are those of format.rs.
"use strict";

const PERIOD_MS = 2000;
const PAST_POINTS = 60;
const past = new Map();

const group = (n) => Math.round(n).toLocaleString("en-US");
const format = {
  text: (v) => (Array.isArray(v) ? v.join(", ") : String(v)),
  count: group,
  rate: (v) => (v < 10 ? v.toFixed(1) : group(v)) + "/s",
  seconds: (s) =>
    s === 0 ? "0"
    : s < 1e-3 ? (s * 1e6).toFixed(0) + " µs"
    : s < 1 ? (s * 1e3).toFixed(2) + " ms"
    : s < 120 ? s.toFixed(2) + " s"
    : s < 7200 ? (s / 60).toFixed(0) + " min"
    : (s / 3600).toFixed(1) + " h",
  bytes: (b) =>
    b < 1024 ? b.toFixed(0) + " B"
    : b < 1048576 ? (b / 1024).toFixed(1) + " KiB"
    : b < 1073741824 ? (b / 1048576).toFixed(1) + " MiB"
    : (b / 1073741824).toFixed(2) + " GiB",
};
const at = (value, path) => path.split(".").reduce((v, name) => (v == null ? v : v[name]), value);
const show = (value, name) => (value == null ? "–" : format[name](value));

function fillTable(table, figures) {
  const columns = [...table.querySelectorAll("th")];
  const rows = at(figures, table.dataset.list) || [];
  const cell = (text, className, span) => {
    const td = document.createElement("td");
    td.textContent = text;
    td.className = className;
    if (span) td.colSpan = span;
    return td;
  };
  const line = (cells) => {
    const tr = document.createElement("tr");
    tr.append(...cells);
    return tr;
  };
  const body = rows.map((row) =>
    line(columns.map(({ dataset: d }) => cell(show(at(row, d.path), d.format), d.format))));
  if (!rows.length) body.push(line([cell(table.dataset.empty, "empty", columns.length)]));
  table.tBodies[0].replaceChildren(...body);
}

function drawPast(svg, value) {
  const points = past.get(svg) || [];
  past.set(svg, points);
  points.push(value || 0);
  if (points.length > PAST_POINTS) points.shift();
  if (points.length < 2) return;
  const top = Math.max(...points, 1e-9);
  const step = 120 / (PAST_POINTS - 1);
  const start = 120 - (points.length - 1) * step;
  const line = points.map((v, i) => `${(start + i * step).toFixed(1)},${(26 - (v / top) * 22).toFixed(1)}`).join(" ");
  const element = (name, attribute, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    e.setAttribute(attribute, text);
    return e;
  };
  svg.replaceChildren(element("path", "d", `M${start},28 L${line} L120,28 Z`), element("polyline", "points", line));
}

function setReadiness(className, text) {
  const badge = document.getElementById("readiness");
  badge.className = className;
  badge.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch("/api/v1/stats", { cache: "no-store" });
    const figures = await answer.json();
    document.querySelectorAll(":not(th)[data-path]").forEach((e) => {
      e.textContent = show(at(figures, e.dataset.path), e.dataset.format);
    });
    document.querySelectorAll("svg[data-past]").forEach((svg) => drawPast(svg, at(figures, svg.dataset.past)));
    document.querySelectorAll("table[data-list]").forEach((table) => fillTable(table, figures));
    if (figures.notReady == null) setReadiness("ready", "ready");
    else setReadiness("not-ready", "not ready: " + figures.notReady);
  } catch {
    setReadiness("lost", "no answer");
  }
  setTimeout(refresh, PERIOD_MS);
}

refresh();
