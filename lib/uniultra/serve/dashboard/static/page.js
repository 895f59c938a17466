// Asks the server every few seconds, and draws what has changed.

import * as charts from "./charts.js";
import * as parts from "./parts.js";

const EVERY_MS = 4000;
const PATIENT_MS = 30000;
const live = document.getElementById("live");
let data = null;
let tag = null;
let failures = 0;
let timer = 0;

const clock = () => new Date().toLocaleTimeString("en-GB");

async function ask() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const answer = await fetch("campaign/data", { headers, cache: "no-store" }).catch(() => {
    throw new Error("The server cannot be reached; asking again …");
  });
  if (answer.status === 304) return false;
  if (answer.status === 401 || answer.status === 403)
    throw new Error("This server wants a login, which this page cannot give. Ask whoever runs it.");
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `The server answers ${answer.status}.`);
  tag = answer.headers.get("ETag");
  data = await answer.json();
  return true;
}

async function turn() {
  clearTimeout(timer);
  try {
    const changed = await ask();
    if (changed) await draw();
    failures = 0;
    live.className = "live";
    parts.say(live, `Live · ${clock()}`);
  } catch (error) {
    tag = null;
    failures += 1;
    live.className = "live lost";
    parts.say(live, error.message);
    if (error.name !== "Error") throw error;  // a fault of this page
  } finally {
    // a page that nobody looks at asks no more; it asks at once when somebody does
    const wait = Math.min(PATIENT_MS, EVERY_MS * 2 ** Math.min(failures, 3));
    if (!document.hidden) timer = setTimeout(turn, wait);
  }
}

async function draw() {
  parts.drawAll(data);
  await charts.drawAll(data);
}

for (const button of document.querySelectorAll("[data-effort]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-effort]"))
      other.setAttribute("aria-pressed", String(other === button));
    if (data) charts.effort(data, button.dataset.effort);
  });
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (data) charts.drawAll(data); });
turn();
