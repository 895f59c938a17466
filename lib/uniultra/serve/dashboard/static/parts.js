// Everything of the page that is no chart: words, tables, tiles, thumbnails.

import {
  DASH, addDays, ago, count, day, duration, empty, make, median, meter, number, sign, signed, table,
} from "./text.js";

const at = (id) => document.getElementById(id);
const fill = (id, ...children) => at(id).replaceChildren(...children.flat().filter((child) => child != null));
export const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const noun = (data) => (data.progress.units === data.progress.images ? "image" : "frame");

export function drawAll(data) {
  document.title = `${data.campaign.name} · ${data.progress.labelled} of ${data.progress.units}`;
  say(at("name"), data.campaign.name);
  fill("structures", data.campaign.structures.map((one) =>
    make("li", {}, make("i", { style: { background: one.color } }), one.name)));
  fill("notices", data.notices.map((one) =>
    make("li", { className: one.level }, make("b", {}, one.level === "problem" ? "Problem" : "Note"),
      `${one.text} `, make("span", {}, one.action))));
  far(data);
  tiles(data);
  who(data);
  agreement(data);
  training(data);
  next(data);
}

function far({ progress: p, days, today, campaign, ...data }) {
  const word = noun({ progress: p });
  const cine = p.units !== p.images ? ` in ${count(p.images, "image")}` : "";
  if (!p.units) {
    fill("big", empty("No image yet.", "Put ultrasound files into the studies folder; they appear here within seconds."));
    fill("bar"); fill("parts"); fill("pace");
    return;
  }
  fill("big", make("b", {}, String(p.labelled)), ` of ${count(p.units, word)} labelled${cine}`);
  const kinds = [
    ["labelled", p.labelled, p.approved ? `labelled (${p.approved} approved)` : "labelled"],
    ["leased", p.leased, "in hand"], ["started", p.started, "started"], ["left", p.left, "left"],
  ];
  fill("bar", kinds.filter(([, n]) => n).map(([kind, n]) =>
    make("i", { className: `k-${kind}`, style: { width: `${(100 * n) / p.units}%` } })));
  const also = [["drafts", p.drafts], ["returned", p.returned], ["flagged", p.flagged], ["skipped", p.skipped]];
  fill("parts",
    kinds.map(([kind, n, text]) => make("li", {}, make("i", { className: `k-${kind}` }), make("b", {}, String(n)), ` ${text}`)),
    also.filter(([, n]) => n).map(([text, n]) => make("li", {}, make("b", {}, String(n)), ` ${n === 1 ? text.replace(/^drafts$/, "draft") : text}`)));
  say(at("pace"), pace(p, days, today, campaign.readers, word));
}

function pace(p, days, today, readers, word) {
  const open = p.units - p.labelled;
  if (!open) return "All labelled.";
  const from = addDays(today, -6);
  const recent = days.filter((one) => one.day >= from);
  const made = recent.flatMap((one) => Object.values(one.labels)).reduce((sum, n) => sum + n, 0) / readers;
  const first = days.length ? Math.min(7, 1 + Math.round((Date.parse(today) - Date.parse(days[0].day)) / 86400000)) : 7;
  if (!made) return "Nothing was labelled in the last seven days.";
  const daily = made / first;
  const left = Math.ceil(open / daily);
  return `${number(daily, daily < 10 ? 1 : 0)} ${word}s a day lately; at this pace done ${left > 365 ? "in more than a year" : `about ${day(addDays(today, left))}`}.`;
}

function tiles(data) {
  const serving = data.adapters.findLast((one) => one.serving && one.dice != null);
  const last = data.adapters.at(-1);
  const up = (gain, digits) => make("span", { className: gain >= 0 ? "up" : "down" }, signed(gain, digits));
  const tile = (name, value, ...note) =>
    make("div", {}, make("dt", {}, name), make("dd", { className: "v" }, value), make("dd", { className: "n" }, note.flat()));
  fill("tiles",
    serving
      ? tile("Model, Dice after one click", number(serving.dice, 3), serving.before == null ? "" : [up(serving.dice - serving.before), " over the one before"])
      : tile("Model", "Shipped weights", last ? `The last training was ${last.what}.` : "Nothing was learned yet."),
    trainingTile(data.training, tile), clicksTile(data, tile), agreementTile(data, tile));
}

function trainingTile(t, tile) {
  if (t.state === "running") {
    const share = t.epochs ? t.epoch / t.epochs : 0;
    return tile("Training", [`${Math.round(100 * share)} %`, make("small", {}, t.left_s == null ? "" : `, ${duration(t.left_s)} left`)], meter(share));
  }
  const words = { none: "None yet", waiting: "Waiting", published: "Published", refused: "Refused", stopped: "Stopped", failed: "Failed" };
  const after = t.missing == null ? "" : t.missing ? `Next after ${count(t.missing, "more label")}` : "Next is due";
  return tile("Training", words[t.state], [t.ended ? ago(t.ended) : "", after].filter(Boolean).join(" · "));
}

function clicksTile({ efforts }, tile) {
  const clicks = efforts.map((one) => one.clicks).filter((n) => n != null);
  if (clicks.length < 6) return tile("Clicks per image", clicks.length ? number(median(clicks)) : DASH, clicks.length ? `median of ${clicks.length}` : "Clients send them with each label.");
  const part = Math.max(3, Math.min(20, clicks.length >> 2));
  const [before, now] = [median(clicks.slice(0, part)), median(clicks.slice(-part))];
  return tile("Clicks per image", number(now, now % 1 ? 1 : 0), `median of the last ${part}; the first ${part}: ${number(before, before % 1 ? 1 : 0)}`);
}

function agreementTile({ agreement: { pairs, dice, waiting }, campaign }, tile) {
  if (!pairs.length && waiting) return tile("Agreement", DASH, `${count(waiting, "image")} to be compared`);
  if (!pairs.length) return tile("Agreement", DASH, campaign.readers > 1 ? "No image has two readers yet." : "One reader per image.");
  const lowest = pairs.reduce((a, b) => (b.dice < a.dice ? b : a));
  return tile("Agreement, Dice", number(dice, 2), pairs.length > 1 ? `lowest ${number(lowest.dice, 2)}: ${lowest.first} and ${lowest.second}` : `${lowest.first} and ${lowest.second}`);
}

function who(data) {
  if (!data.annotators.length) {
    fill("who", empty("Nobody yet.", `Annotators connect 3D Slicer to ${location.origin}, enter their name, and press Next Sample.`));
    return;
  }
  const most = Math.max(1, ...data.annotators.map((one) => one.labelled));
  const extra = (one) => [one.drafts && count(one.drafts, "draft"), one.returned && `${one.returned} returned`].filter(Boolean).join(", ");
  fill("who", table("Annotators", ["Name", "Labelled", "Today", "7 days", "Clicks", "Time", "Now"], data.annotators.map((one, n) => [
    make("span", {}, sign(n), one.name || "(no name)"),
    make("span", {}, meter(one.labelled / most), String(one.labelled)),
    String(one.today), String(one.week), number(one.clicks, one.clicks % 1 ? 1 : 0), duration(one.seconds),
    make("span", {},
      one.leased.length ? make("span", { title: one.leased.join(", ") }, one.leased[0], one.leased.length > 1 ? ` and ${one.leased.length - 1} more` : "") : make("span", { className: "dim" }, ago(one.last)),
      extra(one) ? make("span", { className: "dim" }, make("br"), extra(one)) : null),
  ]), [2, 3, 4, 5]));
}

function agreement({ agreement: { pairs, waiting }, campaign }) {
  const more = waiting ? make("p", { className: "note" }, `${count(waiting, "image")} still to be compared.`) : null;
  if (!pairs.length) {
    fill("agreement", waiting ? more : empty("Nobody has labelled the same image twice.", campaign.readers > 1
      ? "Agreement is shown once two readers have labelled the same image."
      : "To measure it, let two people label each image: readers: 2 in campaign.yaml."));
    return;
  }
  const several = new Set(pairs.map((pair) => pair.structure)).size > 1;
  const heads = ["Annotators", ...(several ? ["Structure"] : []), "Images", "Dice", "HD95", "Least alike"];
  fill("agreement", table("Agreement between annotators", heads, pairs.map((pair) => [
    `${pair.first || "(no name)"} · ${pair.second || "(no name)"}`, ...(several ? [pair.structure] : []), String(pair.images),
    make("span", {}, meter((pair.dice - 0.5) * 2), number(pair.dice, 3)),
    pair.hd95 == null ? DASH : `${number(pair.hd95, 1)} ${pair.unit}`,
    make("span", {}, `${pair.worst} `, make("span", { className: "dim" }, number(pair.lowest, 2))),
  ]), several ? [2, 4] : [1, 3]), make("p", { className: "note" }, "Medians over the images; bars begin at a Dice of 0.5."), more);
}

// the words of a training's progress
const phase = (text) => text.replace(/^fold-(\d+)$/, (_, n) => `cross-validation, part ${Number(n) + 1}`).replace(/^final$/, "with all labels");

function training({ training: t, progress }) {
  const stop = make("p", { className: "note" }, "To stop it: Stop under Active Learning in Slicer's MONAI Label, or ", make("code", {}, "DELETE /train/"), ".");
  const due = t.missing == null ? "" : t.missing ? ` The next one starts by itself after ${count(t.missing, "more label")}.` : " The next one is due.";
  if (t.state === "none") {
    fill("training-text", empty("No training yet.", t.missing
      ? `The first one starts by itself after ${count(t.missing, "more final label")}, or press Train in Slicer.`
      : progress.labelled ? "Press Train in Slicer's MONAI Label, or send POST /train/." : "It needs labels first."));
    return;
  }
  const words = {
    running: `Running: ${phase(t.phase)}`, waiting: "Waiting for its turn", published: "The last one was published", refused: "The last one was refused",
    stopped: "Stopped; it goes on when somebody starts a training", failed: "The last one failed",
  };
  const facts = [
    t.epoch != null && `epoch ${t.epoch} of ${t.epochs}`, t.loss != null && `loss ${number(t.loss, 3)}`,
    t.dice != null && `Dice ${number(t.dice, 3)}`, t.state === "running" && t.left_s != null && `${duration(t.left_s)} left`,
    t.labels != null && count(t.labels, "label"),
  ].filter(Boolean).join(" · ");
  fill("training-text",
    make("p", {}, make("b", {}, words[t.state]), make("span", { className: "dim" }, t.ended ? `, ${ago(t.ended)}` : t.started ? `, begun ${ago(t.started)}` : "")),
    make("p", { className: "sub" }, facts),
    t.message ? make("p", { className: "sub" }, t.message + due) : due ? make("p", { className: "sub" }, due) : null,
    t.state === "running" ? stop : null);
}

function next({ queue, progress }) {
  const scored = queue.scored < queue.total && queue.meaning ? ` ${queue.scored} of ${queue.total} are scored so far.` : "";
  say(at("next-text"), queue.units.length ? `${queue.description}.${queue.meaning ? ` The number is ${queue.meaning}.` : ""}${scored}` : "");
  if (!queue.units.length) {
    fill("next", make("li", {}, progress.units && progress.labelled === progress.units
      ? empty("All images are labelled.", "Export them with: uniultra campaign export.")
      : empty("Nothing to hand out.", progress.units ? "All that is left is in somebody's hands." : "Put ultrasound files into the studies folder.")));
    return;
  }
  const old = new Map([...at("next").children].map((item) => [item.dataset.unit, item]));
  fill("next", queue.units.map((unit) => {
    const key = `${unit.image} ${unit.frame} ${unit.score}`;
    return old.get(key) ?? thumbnail(unit, key);
  }));
}

function thumbnail(unit, key) {
  const name = unit.frame ? `${unit.image}, frame ${unit.frame}` : unit.image;
  const picture = make("img", { src: `campaign/thumbnail/${encodeURIComponent(unit.image)}/${unit.frame}`, alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => { picture.hidden = true; });
  const item = make("li", {}, make("span", { className: "frame" }, picture),
    make("p", { className: "id", title: name }, name),
    make("p", { className: "score" }, unit.score == null ? "not scored yet" : number(unit.score, 3)));
  item.dataset.unit = key;
  return item;
}
