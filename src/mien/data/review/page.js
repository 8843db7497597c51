// One line of corrections.csv at a time. The server holds the state; this page shows it and sends decisions.
"use strict";

const byId = (id) => document.getElementById(id);
const ACTIONS = { k: "keep", r: "relabel", d: "drop", u: "undo" };
let labels = [];
let total = 0;
let item = null;
let busy = false;

async function ask(place, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(place, options);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

// One request at a time: a key held down must not decide about pictures that nobody has seen.
async function alone(work) {
  if (busy) return;
  busy = true;
  byId("message").textContent = "";
  try {
    await work();
  } catch (error) {
    byId("message").textContent = error instanceof TypeError ? "The command has ended: start it again." : error.message;
  } finally {
    busy = false;
  }
}

async function go(index) {
  if (index !== null && index >= 0 && index < total) show(await ask(`item/${index}`));
}

async function decide(action, label = "") {
  const said = await ask("decide", { row: item.row, action, new_label: label });
  if (said.next === null) show(said);
  else await go(said.next);
}

function show(line) {
  item = line;
  byId("main").hidden = false;
  byId("picture").src = `picture/${line.row}.png`;
  byId("picture").alt = `picture ${line.row}, labelled ${line.label}`;
  const quality = line.score === null ? "" : ` · quality of the label ${line.score.toFixed(3)}`;
  const place = `${line.index + 1} of ${total.toLocaleString("en")} · row ${line.row} · ${line.split} · ${line.source}`;
  byId("where").textContent = place + quality;
  byId("label").textContent = line.label;
  byId("suggested").textContent = line.suggested;
  byId("target").textContent = line.suggested;
  const done = line.action === "relabel" ? `relabelled as ${line.new_label}` : { keep: "kept", drop: "dropped" }[line.action];
  byId("decided").textContent = done || "";
  byId("decided").className = line.action;
  for (const button of document.querySelectorAll("#actions button")) {
    const other = line.action === "relabel" && line.new_label !== line.suggested;
    button.classList.toggle("now", button.dataset.action === line.action && !other);
  }
  for (const button of document.querySelectorAll("#classes button")) {
    button.classList.toggle("now", line.action === "relabel" && button.dataset.label === line.new_label);
  }
  showVotes(line.votes);
  showCounts(line.counts);
  for (const row of line.ahead) new Image().src = `picture/${row}.png`;
}

function showVotes(votes) {
  const rows = Object.entries(votes).map(([name, count]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.textContent = name;
    const meter = document.createElement("meter");
    meter.max = 10;
    meter.value = count;
    const cell = document.createElement("td");
    cell.append(meter, ` ${count}`);
    row.append(head, cell);
    return row;
  });
  byId("votes").hidden = rows.length === 0;
  byId("votes").tBodies[0].replaceChildren(...rows);
}

function showCounts(counts) {
  const done = total - counts.undecided;
  const parts = ["keep", "relabel", "drop"].map((name) => `${counts[name].toLocaleString("en")} ${name}`);
  const end = counts.undecided ? "" : " · all decided: you can close this page and end the command with Ctrl+C";
  byId("progress").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} decided (${parts.join(", ")})${end}`;
  for (const name of ["keep", "relabel", "drop"]) {
    document.querySelector(`#bar .${name}`).style.width = `${(100 * counts[name]) / total}%`;
  }
}

function act(action, label) {
  if (item === null) return;
  alone(async () => (action === "undo" ? show(await ask("undo", {})) : decide(action, label)));
}

function classButtons() {
  byId("classes").replaceChildren(...labels.map((label, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = label;
    if (i < 10) {
      const key = document.createElement("kbd");
      key.textContent = String((i + 1) % 10);
      button.append(key, " ");
    }
    button.append(label);
    button.addEventListener("click", () => act("relabel", label));
    return button;
  }));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || item === null) return;
  const key = event.key.toLowerCase();
  const number = /^[0-9]$/.test(key) ? (Number(key) + 9) % 10 : -1;
  if (ACTIONS[key]) act(ACTIONS[key]);
  else if (number >= 0 && number < labels.length) act("relabel", labels[number]);
  else if (key === "arrowleft") alone(() => go(item.index - 1));
  else if (key === "arrowright") alone(() => go(item.index + 1));
  else if (key === "n") alone(() => go(item.next));
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("#actions button")) {
  button.addEventListener("click", () => { button.blur(); act(button.dataset.action); });
}

alone(async () => {
  const set = await ask("set");
  labels = set.labels;
  total = set.total;
  document.title = `Review of ${set.name}`;
  byId("name").textContent = `Review of ${set.name}`;
  classButtons();
  await go(set.start ?? 0);
});
