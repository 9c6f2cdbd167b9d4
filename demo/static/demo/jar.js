// One cookie jar, as the browser sends it, as scripts see it, and as Django reads it.
import { named, onWhole } from "./wire.js";

const words = document.querySelector("[data-jar-words]");
const lists = Object.fromEntries(
  ["sent", "scripts", "understood"].map((name) => [name, document.querySelector(`[data-jar=${name}]`)]),
);

let latest;

// `exchange` is that of a request just made to this page's address; none if it did not come through.
export function showJar(exchange) {
  latest = exchange;
  const scripts = document.cookie ? document.cookie.split("; ").map(pair) : [];
  fill(lists.scripts, [...scripts.map(line), ...unseen(exchange?.sent ?? [], scripts)]);
  fill(lists.sent, exchange?.sent.map(line));
  fill(lists.understood, exchange?.understood.map(line));
}

function pair(text) {
  const [name, ...rest] = text.split("=");
  return rest.length ? { name, value: rest.join("=") } : { name: "", value: name };
}

function line(cookie) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = cookie.name;
  item.append(name, named(cookie).slice(cookie.name.length));
  return item;
}

// What is sent and not in document.cookie keeps its place there, empty.
function unseen(sent, scripts) {
  const seen = new Set(scripts.map((cookie) => cookie.name));
  return sent
    .filter((cookie) => !seen.has(cookie.name))
    .map((cookie) => {
      const item = document.createElement("li");
      item.className = "unseen";
      const name = document.createElement("b");
      name.textContent = cookie.name;
      item.append(name, ` ${words.dataset.unseen}`);
      return item;
    });
}

function fill(list, items) {
  const fallback = items ? words.dataset.none : words.dataset.away;
  if (items?.length) return list.replaceChildren(...items);
  const item = document.createElement("li");
  item.className = "quiet";
  item.textContent = fallback;
  list.replaceChildren(item);
}

onWhole(() => showJar(latest));
