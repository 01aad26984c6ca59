// The inbox by its interface: list, then a live stream from there, by fetch since EventSource sends no token.
"use strict";
const list = document.getElementById("cards");
const state = document.getElementById("state");
const cards = new Map();
let token = decodeURIComponent(location.hash.slice(1));

const ask = (path, options = {}) =>
  fetch(`${list.dataset.base}/inbox/v1/${path}`, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });

function show() {
  const newest = [...cards.values()].filter((it) => !it.archived_time).sort((a, b) => (a.created_time < b.created_time ? 1 : -1));
  list.replaceChildren(...newest.map(item));
}

function item(it) {
  const row = document.createElement("li");
  row.className = "card";
  row.lang = it.card.language || "";
  row.dir = "auto";
  const title = document.createElement("h2");
  title.textContent = it.card.title; // text, never markup
  const body = document.createElement("p");
  body.textContent = [it.card.body, it.card.todo, it.card.next].filter(Boolean).join(" ");
  row.append(title, body);
  if (it.unread) row.append(button(it));
  return row;
}

function button(it) {
  const made = document.createElement("button");
  made.className = "second";
  made.textContent = list.dataset.read;
  made.setAttribute("aria-label", `${list.dataset.read}: ${it.card.title}`);
  made.addEventListener("click", () => mark("read", [it.card_id]));
  return made;
}

const mark = (how, ids) =>
  ask("marks", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ mark: how, cards: ids }) });

function hear(name, data) {
  if (name === "card") cards.set(data.card_id, data);
  if ("unread" in data && name !== "card") document.getElementById("unread").textContent = data.unread;
  if (name === "counts") show();
}

async function listAll() {
  const answer = await ask("cards?limit=100");
  if (!answer.ok) throw answer;
  const page = await answer.json();
  cards.clear();
  page.cards.forEach((it) => cards.set(it.card_id, it));
  hear("counts", page);
  return page.change;
}

async function stream(known) {
  const answer = await ask("stream", { headers: { "Last-Event-ID": String(known) } });
  if (!answer.ok) throw answer;
  state.textContent = list.dataset.live;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const field = Object.fromEntries(part.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
      if (field.event === "reset" || field.event === "over") return;
      if (field.event) hear(field.event, JSON.parse(field.data));
    }
  }
}

async function run() {
  document.getElementById("enter").hidden = true;
  for (let wait = 500; ; wait = Math.min(wait * 2, 30000)) {
    try {
      await stream(await listAll());
      wait = 500;
    } catch (error) {
      if (error.status === 401) {
        state.textContent = list.dataset.refused;
        document.getElementById("enter").hidden = false;
        return;
      }
    }
    state.textContent = list.dataset.cut;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

document.getElementById("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  token = document.getElementById("token").value.trim();
  run();
});
if (token) run();
