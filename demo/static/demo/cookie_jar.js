// Show one cookie jar as the browser sends it, as scripts see it, and as Django reads it.
import { onSecretsToggled, pairText } from "./wire.js";

const messages = document.querySelector("[data-jar-messages]");
const lists = Object.fromEntries(
  ["sent", "scripts", "understood"].map((name) => [name, document.querySelector(`[data-jar=${name}]`)]),
);

let latestExchange;

// `exchange` is that of a request just made to this page's address, undefined if it failed.
export function showCookieJar(exchange) {
  latestExchange = exchange;
  const visible = document.cookie ? document.cookie.split("; ").map(parsePair) : [];
  fill(lists.scripts, [...visible.map(cookieItem), ...hiddenItems(exchange?.sent ?? [], visible)]);
  fill(lists.sent, exchange?.sent.map(cookieItem));
  fill(lists.understood, exchange?.understood.map(cookieItem));
}

function parsePair(text) {
  const [name, ...rest] = text.split("=");
  return rest.length ? { name, value: rest.join("=") } : { name: "", value: name };
}

function cookieItem(cookie) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = cookie.name;
  item.append(name, pairText(cookie).slice(cookie.name.length));
  return item;
}

// Cookies that are sent but hidden from scripts are listed with their name only.
function hiddenItems(sent, visible) {
  const visibleNames = new Set(visible.map((cookie) => cookie.name));
  return sent
    .filter((cookie) => !visibleNames.has(cookie.name))
    .map((cookie) => {
      const item = document.createElement("li");
      item.className = "unseen";
      const name = document.createElement("b");
      name.textContent = cookie.name;
      item.append(name, ` ${messages.dataset.hidden}`);
      return item;
    });
}

function fill(list, items) {
  const message = items ? messages.dataset.none : messages.dataset.unreachable;
  if (items?.length) return list.replaceChildren(...items);
  const item = document.createElement("li");
  item.className = "quiet";
  item.textContent = message;
  list.replaceChildren(item);
}

onSecretsToggled(() => showCookieJar(latestExchange));
