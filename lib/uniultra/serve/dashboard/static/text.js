// How numbers, times and elements are written.

export const DASH = "–";

export const number = (value, digits = 0) => (value == null ? DASH : value.toFixed(digits));

export const signed = (value, digits = 3) =>
  value == null ? DASH : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

export const median = (values) => {
  const known = values.filter((v) => v != null).sort((a, b) => a - b);
  if (!known.length) return null;
  const middle = known.length >> 1;
  return known.length % 2 ? known[middle] : (known[middle - 1] + known[middle]) / 2;
};

export const duration = (seconds) => {
  if (seconds == null) return DASH;
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};

export const ago = (iso, now = Date.now()) => {
  if (!iso) return DASH;
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return count(Math.round(seconds / 86400), "day") + " ago";
};

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
export const day = (iso) => DAY.format(Date.parse(`${iso.slice(0, 10)}T00:00:00Z`));

export const addDays = (iso, n) =>
  new Date(Date.parse(`${iso}T00:00:00Z`) + n * 86400000).toISOString().slice(0, 10);

// plotly knows no time zones: the same moment on the clock of this device
export const local = (iso) => {
  const moment = new Date(iso);
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
};

export const moment = (iso) => local(iso).replace("T", " ").slice(0, 16);

// an element with properties and children; text is never read as markup
export const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else if (key.includes("-") || key === "for" || key === "scope" || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.flat().filter((child) => child != null && child !== ""));
  return element;
};

export const table = (caption, heads, rows, numeric = []) => {
  const cell = (value, n, tag = "td") =>
    make(tag, { className: numeric.includes(n) ? "num" : "", ...(tag === "th" ? { scope: "row" } : {}) }, value ?? DASH);
  return make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, heads.map((head, n) =>
      make("th", { scope: "col", className: numeric.includes(n) ? "num" : "" }, head)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((value, n) => cell(value, n, n ? "td" : "th"))))));
};

export const meter = (share) =>
  make("span", { className: "meter", "aria-hidden": "true" },
    make("i", { style: { width: `${Math.round(100 * Math.min(1, Math.max(0, share)))}%` } }));

export const empty = (title, text) => make("p", { className: "empty" }, make("b", {}, title), text);

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = [
  "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10Z", "M1.500 1.500h9v9h-9Z", "M6 .5 11.500 6 6 11.500 .5 6Z",
  "M6 1 11.500 11H.5Z", "M4 1h4v3h3v4H8v3H4V8H1V4h3Z", "M6 11 .5 1h11Z",
];
export const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down"];

// the sign of an annotator: colour and shape, the same everywhere
export const sign = (n) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", "dot");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[n % SHAPES.length]);
  path.style.fill = `var(--who-${n % 6})`;
  svg.append(path);
  return svg;
};
