// Show one cookie jar as the browser sends it, as scripts see it, and as Django reads it.
import { isAtOrBelow, nearestAbove, ownCookies } from "./jar.js";
import { placedName } from "./verdict_texts.js";
import { onSecretsToggled, pairText } from "./wire.js";

const messages = document.querySelector("[data-jar-messages]");
const lists = Object.fromEntries(
  ["sent", "scripts", "understood"].map((name) => [name, document.querySelector(`[data-jar=${name}]`)]),
);

const elsewhere = document.querySelector("[data-other-paths]");

// How many cookies of other paths are named.
const MAX_NAMES = 10;

let latest = [];

// `exchange` is that of a request just made to this page's address, undefined if it failed. `jar` is
// from readJar.
export function showCookieJar(exchange, jar) {
  latest = [exchange, jar];
  const others = cookiesElsewhere(jar.sent).map(placedName);
  const names = [...others.slice(0, MAX_NAMES), ...(others.length > MAX_NAMES ? ["…"] : [])].join(", ");
  elsewhere.textContent = elsewhere.dataset.text.replace("{n}", others.length).replace("{names}", () => names);
  elsewhere.hidden = !others.length;
  const visible = document.cookie ? document.cookie.split("; ").map(parsePair) : [];
  fill(lists.scripts, [...visible.map(cookieItem), ...hiddenItems(exchange?.sent ?? [], visible)]);
  fill(lists.sent, exchange?.sent.map(cookieItem));
  fill(lists.understood, exchange?.understood.map(cookieItem));
}

// Return the cookies of the known paths that are not sent to this page's address.
function cookiesElsewhere(sent) {
  const paths = [...sent.keys()].filter((path) => sent.get(path));
  return paths
    .filter((path) => !isAtOrBelow(location.pathname, path))
    .flatMap((path) => ownCookies(sent, path, nearestAbove(path, paths)).map((cookie) => ({ ...cookie, path })));
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

onSecretsToggled(() => showCookieJar(...latest));
