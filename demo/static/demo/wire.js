// Show the requests and responses that the server reports in the header Wire: see demo/wire.py.
import { isDropped, verdictClass, verdictText } from "./verdict_texts.js";

const panel = document.querySelector("[data-wire]");
const showSecrets = document.querySelector("[data-whole]");
const exchangeTemplate = document.querySelector("[data-exchange]");
const setCookieTemplate = document.querySelector("[data-set-cookie]");
const secretCookies = new Set(showSecrets.dataset.secretCookies.split(" "));

// How many characters of a masked secret are shown: enough to distinguish two of them.
const VISIBLE_CHARACTERS = 8;

// From so many lines on, what is the same for all is said once.
const MIN_ALIKE = 4;

// Whether the server answers the header Wire. Without DEBUG it does not.
export const isReported = "empty" in panel.dataset;

let latestExchanges = [];

// The options for fetch() with the id of a run. The requests after a redirect send the same id.
export function wireOptions() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const runId = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { headers: { Wire: runId } };
}

export function exchangesOf(response) {
  const exchanges = JSON.parse(response.headers.get("Wire") ?? "[]");
  return exchanges.map((exchange) => ({ ...exchange, unlisted: (exchange.unlisted ?? []).flatMap(linesOf) }));
}

// Lines that differ only in name and value are reported together.
const linesOf = ({ pairs, ...line }) => pairs.map(([name, value]) => ({ ...line, name, value }));

function maskedSecret(text) {
  const isMasked = text.length > VISIBLE_CHARACTERS && !showSecrets.checked;
  return isMasked ? `${text.slice(0, VISIBLE_CHARACTERS)}…` : text;
}

function visibleValue(cookie) {
  return secretCookies.has(cookie.name) ? maskedSecret(cookie.value) : cookie.value;
}

// Return the text with the keys in it masked.
export function masked(text, keys) {
  return keys.reduce((result, key) => result.replaceAll(key, maskedSecret(key)), text);
}

// Return name=value. A cookie without a name is only a value.
export function pairText(cookie) {
  return cookie.name ? `${cookie.name}=${visibleValue(cookie)}` : visibleValue(cookie);
}

export function onSecretsToggled(listener) {
  showSecrets.addEventListener("change", listener);
}

export function showExchanges(exchanges) {
  latestExchanges = exchanges;
  if (exchanges.length) panel.replaceChildren(...exchanges.map(exchangeNode));
  else if (isReported) {
    const message = document.createElement("p");
    message.className = "quiet";
    message.textContent = panel.dataset.empty;
    panel.replaceChildren(message);
  }
}

function exchangeNode(exchange) {
  const node = exchangeTemplate.content.cloneNode(true);
  const put = (name, text) => (node.querySelector(`[data-${name}]`).textContent = text);
  put("request", masked(exchange.request, exchange.keys));
  put("sent", exchange.sent.length ? `\nCookie: ${exchange.sent.map(pairText).join("; ")}` : "");
  const location = exchange.location && `\nLocation: ${masked(exchange.location, exchange.keys)}`;
  const cleared = exchange.cleared && `\nClear-Site-Data: ${exchange.cleared}`;
  put("answer", `${exchange.status}${location ?? ""}${cleared ?? ""}`);
  node.querySelector("[data-none]").hidden = exchange.set.length > 0 || Boolean(cleared);
  node.querySelector("[data-set]").replaceChildren(...groupsOf(exchange.set).flatMap(setCookieNodes));
  const unlisted = node.querySelector("[data-unlisted]");
  unlisted.hidden = !exchange.unlisted.length;
  unlisted.textContent = unlisted.dataset.text.replace("{n}", exchange.unlisted.length);
  put("trips", roundTripsText(node.querySelector("[data-trips]").dataset, exchange));
  node.querySelector("[data-streamed]").hidden = !exchange.streamed || exchange.trips === null;
  return node;
}

function roundTripsText(messages, { trips, milliseconds }) {
  if (trips === null) return messages.uncounted;
  const text = [messages.zero, messages.one][trips] ?? messages.many;
  return text.replace("{n}", trips).replace("{ms}", milliseconds);
}

// Return the lines in groups of consecutive ones about which the page says the same.
function groupsOf(cookies) {
  const said = (cookie) => JSON.stringify([verdictText(cookie), cookie.attributes, notesText(cookie)]);
  const groups = [];
  for (const cookie of cookies) {
    const latest = groups.at(-1);
    if (latest && said(latest[0]) === said(cookie)) latest.push(cookie);
    else groups.push([cookie]);
  }
  return groups;
}

// Of many lines about which the page says the same, only the first says it.
function setCookieNodes(cookies) {
  const nodes = cookies.map(setCookieNode);
  if (cookies.length < MIN_ALIKE) return nodes;
  const alike = nodes[0].querySelector("[data-alike]");
  const [first, last] = [cookies[0], cookies.at(-1)].map(({ name }) => name);
  const values = { n: cookies.length, first, last };
  alike.textContent = alike.dataset.text.replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
  alike.hidden = false;
  for (const node of nodes.slice(1)) {
    for (const part of node.querySelectorAll(".set-cookie > :not(:first-child)")) part.hidden = true;
  }
  return nodes;
}

const notesText = (cookie) => (isDropped(cookie) ? "" : cookie.notes.join(" "));

function setCookieNode(cookie) {
  const node = setCookieTemplate.content.cloneNode(true);
  node.querySelector("[data-name]").textContent = cookie.name;
  node.querySelector("[data-value]").textContent = visibleValue(cookie);
  const verdict = node.querySelector("[data-verdict]");
  verdict.textContent = verdictText(cookie);
  verdict.className = `verdict ${verdictClass(cookie)}`;
  const meter = node.querySelector("[data-meter]");
  meter.value = cookie.bytes;
  const bytes = node.querySelector("[data-bytes]");
  const text = cookie.bytes > meter.max ? bytes.dataset.over : bytes.dataset.text;
  const [size, limit] = [cookie.bytes, meter.max].map((number) => number.toLocaleString("en"));
  bytes.textContent = text.replace("{n}", size).replace("{limit}", limit);
  const attributes = node.querySelector("[data-attributes]");
  for (const attribute of cookie.attributes) {
    const row = document.createElement("div");
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = attribute.value ? `${attribute.name}=${attribute.value}` : attribute.name;
    meaning.textContent = attribute.meaning;
    row.append(term, meaning);
    attributes.append(row);
  }
  node.querySelector("[data-notes]").textContent = notesText(cookie);
  return node;
}

onSecretsToggled(() => showExchanges(latestExchanges));
