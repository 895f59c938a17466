// The charts, by plotly.js, and the table behind each of them.

import { SYMBOLS, addDays, count, day, duration, empty, local, median, moment, number, signed, table } from "./text.js";

const at = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// hours only where days are wide
const DATES = {
  type: "date",
  tickformatstops: [{ dtickrange: [null, 86399999], value: "%-d %b %H:%M" }, { dtickrange: [86400000, null], value: "%-d %b" }],
};
const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
let loading = null;

// it is large: the words and tables stand before it is there
const plotly = () => (loading ??= new Promise((resolve, reject) => {
  // its maps would add a style element, which the page's policy forbids, unless one with their id is there
  document.getElementById = (id) => document.querySelector(`[id="${CSS.escape(id)}"]`)
    ?? (/^[0-9a-f]{64}$/.test(id) ? document.head : null);
  const done = () => { delete document.getElementById; };
  const script = document.createElement("script");
  script.src = "campaign/static/plotly.min.js";
  script.onload = () => { done(); resolve(window.Plotly); };
  script.onerror = () => { done(); loading = null; reject(new Error("The charts could not be loaded; asking again …")); };
  document.head.append(script);
}));

export async function drawAll(data) {
  const chosen = document.querySelector("[data-effort][aria-pressed=true]").dataset.effort;
  await Promise.all([model(data), days(data), effort(data, chosen), training(data)]);
}

function layout(more = {}) {
  const axis = {
    gridcolor: css("--faint"), linecolor: css("--line"), zeroline: false, fixedrange: true, ticks: "",
    tickfont: { color: css("--soft"), size: 12 }, automargin: true,
  };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    font: { family: getComputedStyle(document.body).fontFamily, color: css("--ink"), size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 44, r: 12, t: 8, b: 28 },
    dragmode: false, hovermode: "closest", showlegend: false,
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { family: getComputedStyle(document.body).fontFamily, color: css("--ink"), size: 13 }, align: "left", namelength: 0 },
    xaxis: { ...axis, showgrid: false, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

async function show(id, title, traces, shape, rows) {
  const place = at(id);
  place.classList.remove("none");
  place.querySelector(":scope > .empty")?.remove();
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", title);
  at(`${id}-table`).hidden = false;
  at(`${id}-table`).querySelector(".wide").replaceChildren(table(...rows));
  await (await plotly()).react(place, traces, layout(shape), CONFIG);
}

function nothing(id, title, text) {
  const place = at(id);
  if (window.Plotly && place.classList.contains("js-plotly-plot")) window.Plotly.purge(place);
  place.classList.add("none");
  place.removeAttribute("role");
  place.removeAttribute("aria-label");
  place.replaceChildren(...(title ? [empty(title, text)] : []));
  at(`${id}-table`).hidden = true;
}

const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
// plotly breaks no lines by itself; of its markup only <br> makes no style attribute, which the policy forbids
const wrapped = (text) => escape(text).replace(/(.{30,46}?) /g, "$1<br>");
const WHAT = { published: "Published", refused: "Refused by the gate", "rolled back": "Rolled back", imported: "Imported" };

function told(one) {
  const interval = one.low != null ? ` (${signed(one.low)} to ${signed(one.high)})` : "";
  return [
    `${WHAT[one.what]}${one.serving ? ", answers now" : ""}`, escape(moment(one.when)), one.id ? escape(one.id) : "",
    one.dice != null ? `Dice after a click ${number(one.dice, 3)}, before ${number(one.before, 3)}` : "",
    one.box != null ? `Dice of a box ${number(one.box, 3)}` : "",
    one.gain != null ? `Gain ${signed(one.gain)}${interval}` : "",
    one.known != null ? `Largest loss on what was known: ${signed(one.known)}` : "",
    one.labels != null ? `${count(one.labels, "label")}, measured on ${one.measured}${one.rule === "folds" ? ", cross-validated" : " held out"}` : "",
    one.why ? wrapped(one.why) : "",
  ].filter(Boolean).join("<br>");
}

export function model(data) {
  const scored = data.adapters.filter((one) => one.dice != null);
  if (!scored.length) {
    return nothing("model", "No training has been judged yet.", data.training.missing
      ? `The first one starts by itself after ${count(data.training.missing, "more label")}.`
      : "Each training, published or refused, is marked here with what the gate said.");
  }
  const answered = scored.filter((one) => one.what === "published");
  const stems = { x: [], y: [] };
  for (const one of scored.filter((each) => each.before != null)) {
    stems.x.push(local(one.when), local(one.when), null);
    stems.y.push(one.before, one.dice, null);
  }
  const marks = (kind, marker) => {
    const some = scored.filter((one) => one.what === kind);
    return {
      type: "scatter", mode: "markers", x: some.map((one) => local(one.when)), y: some.map((one) => one.dice),
      text: some.map(told), hovertemplate: "%{text}<extra></extra>", name: WHAT[kind], showlegend: some.length > 0, marker,
    };
  };
  const values = scored.flatMap((one) => [one.dice, one.before ?? one.dice]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(0.02, 0.16 * (high - low));
  const traces = [
    { type: "scatter", mode: "lines", x: stems.x, y: stems.y, line: { color: css("--accent-3"), width: 4 }, hoverinfo: "skip", showlegend: false },
    { type: "scatter", mode: "lines", x: answered.map((one) => local(one.when)), y: answered.map((one) => one.dice),
      line: { color: css("--accent"), width: 2 }, hoverinfo: "skip", showlegend: false },
    marks("published", { color: css("--accent"), size: 13, line: { color: css("--card"), width: 2 } }),
    marks("refused", { color: css("--card"), size: 11, symbol: "diamond", line: { color: css("--bad"), width: 2 } }),
    marks("imported", { color: css("--accent-2"), size: 12, symbol: "square", line: { color: css("--card"), width: 2 } }),
  ];
  const backs = data.adapters.filter((one) => one.what === "rolled back");
  const shapes = backs.map((one) => ({ type: "line", xref: "x", yref: "paper", x0: local(one.when), x1: local(one.when), y0: 0, y1: 1, line: { color: css("--soft"), width: 1, dash: "dot" } }));
  const annotations = backs.map((one) => ({ x: local(one.when), y: 1, yref: "paper", yanchor: "bottom", text: "rolled back", showarrow: false, font: { size: 11, color: css("--soft") } }));
  const serving = answered.findLast((one) => one.serving);
  if (serving) annotations.push({ x: local(serving.when), y: serving.dice, text: number(serving.dice, 3), showarrow: false, yshift: 18, font: { color: css("--accent"), size: 14, weight: 700 } });
  if (scored[0].before != null) annotations.push({ x: local(scored[0].when), y: scored[0].before, text: `${number(scored[0].before, 3)} before the first`, showarrow: false, xanchor: "left", xshift: 6, yshift: 4, font: { color: css("--soft"), size: 12 } });
  const times = scored.map((one) => Date.parse(one.when));
  const pad = Math.max(43200000, 0.08 * (Math.max(...times) - Math.min(...times)));
  const range = [new Date(Math.min(...times) - pad), new Date(Math.max(...times) + pad)].map((one) => local(one));
  return show("model", `Dice over time: ${answered.length ? `${number(answered[0].dice, 3)} first, ${number(answered.at(-1).dice, 3)} last` : "nothing was published"}.`, traces, {
    shapes, annotations, showlegend: true, legend: { orientation: "h", x: 0, y: -0.12, yanchor: "top", font: { color: css("--soft"), size: 12 }, itemclick: false, itemdoubleclick: false },
    yaxis: { range: [low - room, Math.min(1, high + room)], tickformat: ".2f", nticks: 6 }, xaxis: { ...DATES, nticks: 7, range }, margin: { l: 44, r: 16, t: 14, b: 30 },
  }, ["Trainings and what the gate said", ["When", "Verdict", "Dice", "Before", "Gain, 95 %", "Lost of what was known", "Labels", "Why"],
    data.adapters.toReversed().map((one) => [moment(one.when), WHAT[one.what] + (one.serving ? " (answers now)" : ""), number(one.dice, 3), number(one.before, 3),
      one.gain == null ? null : `${signed(one.gain)}${one.low == null ? "" : ` (${signed(one.low)} to ${signed(one.high)})`}`, one.known == null ? null : signed(one.known), one.labels == null ? null : String(one.labels), one.why]), [2, 3, 6]]);
}

export function days(data) {
  if (!data.days.length) return nothing("days", "No label yet.", "Each day's labels stand here, by annotator.");
  const known = new Map(data.days.map((one) => [one.day, one.labels]));
  const all = [];
  for (let one = data.days[0].day; one <= data.today || one <= data.days.at(-1).day; one = addDays(one, 1)) all.push(one);
  while (all.length < 7) all.unshift(addDays(all[0], -1));
  const people = data.annotators.filter((one) => data.days.some((each) => each.labels[one.name]));
  const traces = people.map((one) => ({
    type: "bar", name: one.name || "(no name)", x: all, y: all.map((each) => known.get(each)?.[one.name] ?? 0),
    marker: { color: css(`--who-${data.annotators.indexOf(one) % 6}`), cornerradius: 2 },
    customdata: all.map(day), hovertemplate: `%{customdata}<br>${escape(one.name || "(no name)")}: %{y}<extra></extra>`,
  }));
  const total = data.days.reduce((sum, one) => sum + Object.values(one.labels).reduce((a, b) => a + b, 0), 0);
  return show("days", `${count(total, "image")} labelled on ${count(data.days.length, "day")}.`, traces, {
    barmode: "stack", bargap: 0.36, showlegend: people.length > 1, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", font: { color: css("--soft"), size: 12 }, itemclick: false, itemdoubleclick: false },
    xaxis: { ...DATES, nticks: 8 }, yaxis: { rangemode: "tozero", nticks: 5, tickformat: "d" }, margin: { l: 32, r: 8, t: people.length > 1 ? 34 : 8, b: 28 },
  }, ["Images labelled per day", ["Day", ...people.map((one) => one.name || "(no name)")],
    data.days.toReversed().map((one) => [day(one.day), ...people.map((each) => String(one.labels[each.name] ?? 0))]), people.map((_, n) => n + 1)]);
}

export function effort(data, kind) {
  const known = data.efforts.filter((one) => one[kind] != null);
  if (!known.length) return nothing("effort", data.efforts.length ? `No client sends ${kind}.` : "No label yet.", "Clients may send clicks and seconds with each label; UniUltra's panel in 3D Slicer does.");
  const shown = kind === "seconds" ? duration : (value) => number(value, value % 1 ? 1 : 0);
  const traces = data.annotators.map((one, n) => {
    const mine = known.filter((each) => each.annotator === one.name);
    return {
      type: "scatter", mode: "markers", x: mine.map((each) => local(each.made)), y: mine.map((each) => each[kind]),
      marker: { color: css(`--who-${n % 6}`), symbol: SYMBOLS[n % 6], size: 7, opacity: 0.55 },
      text: mine.map((each) => `${escape(each.image)}<br>${escape(one.name || "(no name)")}, ${shown(each[kind])}${kind === "clicks" ? " clicks" : ""}<br>${each.adapter ? `adapter ${escape(each.adapter)}` : "shipped weights, or by hand"}`),
      hovertemplate: "%{text}<extra></extra>", showlegend: false,
    };
  });
  const daily = new Map();
  for (const one of known) {
    const key = local(one.made).slice(0, 10);
    daily.set(key, [...(daily.get(key) ?? []), one]);
  }
  const middle = [...daily.values()].map((some) => median(some.map((one) => one[kind])));
  traces.push({
    type: "scatter", mode: "lines+markers", x: [...daily.values()].map((some) => local(some[some.length >> 1].made)), y: middle, text: [...daily.keys()].map(day),
    line: { color: css("--ink"), width: 2.5 }, marker: { color: css("--ink"), size: 5 }, hovertemplate: `%{text}<br>median %{y:.1f}<extra></extra>`,
  });
  const new_ = data.adapters.filter((one) => one.what === "published" || one.what === "imported");
  const top = Math.max(...known.map((one) => one[kind]));
  return show("effort", `${kind === "clicks" ? "Clicks" : "Seconds"} per image, median: ${shown(middle[0])} at first, ${shown(middle.at(-1))} lately.`, traces, {
    shapes: new_.map((one) => ({ type: "line", layer: "below", xref: "x", yref: "paper", x0: local(one.when), x1: local(one.when), y0: 0, y1: 1, line: { color: css("--accent"), width: 1, dash: "dot" } })),
    annotations: new_.slice(0, 1).map((one) => ({ x: local(one.when), y: 1, yref: "paper", xanchor: "left", yanchor: "top", xshift: 4, text: "new adapter", showarrow: false, font: { size: 11, color: css("--accent") } })),
    xaxis: { ...DATES, nticks: 8 }, yaxis: { range: [0, 1.08 * top], nticks: 5, ticksuffix: kind === "seconds" ? " s" : "" }, margin: { l: 40, r: 8, t: 8, b: 28 },
  }, ["Clicks and seconds per image", ["When", "Image", "Annotator", "Clicks", "Seconds", "Adapter"],
    data.efforts.slice(-200).reverse().map((one) => [moment(one.made), one.image, one.annotator || "(no name)", number(one.clicks), number(one.seconds), one.adapter]), [3, 4]]);
}

export function training(data) {
  const curve = data.training.curve;
  if (curve.filter((one) => one.loss != null).length < 2) return nothing("training");
  const some = (key) => curve.filter((one) => one[key] != null);
  const line = (key, more) => ({
    type: "scatter", mode: "lines", x: some(key).map((one) => one.epoch), y: some(key).map((one) => one[key]), hovertemplate: `epoch %{x}<br>${key} %{y:.3f}<extra></extra>`, ...more,
  });
  const traces = [line("loss", { line: { color: css("--accent"), width: 2 } })];
  const folds = some("dice").length > 0;
  if (folds) traces.push(line("dice", { yaxis: "y2", mode: "lines+markers", line: { color: css("--who-1"), width: 2, dash: "dot" }, marker: { size: 7, symbol: "square" } }));
  const scores = some("dice").map((one) => one.dice);
  const room = Math.max(0.05, Math.max(...scores) - Math.min(...scores));
  const title = (text, color) => ({ text, font: { size: 12, color: css(color) }, standoff: 8 });
  return show("training", `Training, loss ${number(some("loss")[0].loss, 3)} at first, ${number(some("loss").at(-1).loss, 3)} now.`, traces, {
    xaxis: { ...(data.training.epochs && { range: [0, data.training.epochs] }), nticks: 7, title: { text: "epoch", font: { size: 12, color: css("--soft") }, standoff: 4 } },
    yaxis: { nticks: 5, rangemode: "tozero", title: title("loss", "--accent") },
    ...(folds && { yaxis2: { overlaying: "y", side: "right", showgrid: false, zeroline: false, fixedrange: true, nticks: 5, tickformat: ".2f", range: [Math.min(...scores) - room, Math.max(...scores) + room], tickfont: { color: css("--soft"), size: 12 }, title: title("Dice of the folds so far", "--who-1") } }),
    margin: { l: 48, r: folds ? 52 : 10, t: 8, b: 36 },
  }, ["Training", ["Epoch", "Loss", "Dice"], curve.map((one) => [String(one.epoch), number(one.loss, 4), number(one.dice, 4)]), [1, 2]]);
}
