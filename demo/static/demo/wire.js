// What the server repeats of a request and its response: see demo/wire.py.
const panel = document.querySelector("[data-wire]");
const whole = document.querySelector("[data-whole]");
const exchangeTemplate = document.querySelector("[data-exchange]");
const setCookieTemplate = document.querySelector("[data-set-cookie]");
const secrets = new Set(whole.dataset.secrets.split(" "));

// What a secret is shown by: enough to tell two apart.
const SHOWN = 8;

let latest = [];

// The header by which a page asks, the same for all that one run is redirected to.
export function asked() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const run = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { headers: { Wire: run } };
}

export function told(response) {
  return JSON.parse(response.headers.get("Wire") ?? "[]");
}

const inPart = (text) => (text.length > SHOWN && !whole.checked ? `${text.slice(0, SHOWN)}…` : text);

export function value(cookie) {
  return secrets.has(cookie.name) ? inPart(cookie.value) : cookie.value;
}

// A text less the keys in it.
export function masked(text, keys) {
  return keys.reduce((shown, key) => shown.replaceAll(key, inPart(key)), text);
}

// One without a name is a value alone.
export function named(cookie) {
  return cookie.name ? `${cookie.name}=${value(cookie)}` : value(cookie);
}

export function onWhole(listener) {
  whole.addEventListener("change", listener);
}

export function showExchanges(exchanges) {
  latest = exchanges;
  if (exchanges.length) panel.replaceChildren(...exchanges.map(exchange));
  else if (panel.dataset.empty) {
    const words = document.createElement("p");
    words.className = "quiet";
    words.textContent = panel.dataset.empty;
    panel.replaceChildren(words);
  }
}

function exchange(told) {
  const node = exchangeTemplate.content.cloneNode(true);
  const put = (name, text) => (node.querySelector(`[data-${name}]`).textContent = text);
  put("request", masked(told.request, told.keys));
  put("sent", told.sent.length ? `\nCookie: ${told.sent.map(named).join("; ")}` : "");
  const location = told.location && `\nLocation: ${masked(told.location, told.keys)}`;
  put("answer", `${told.status}${location ?? ""}`);
  node.querySelector("[data-none]").hidden = told.set.length > 0;
  node.querySelector("[data-set]").replaceChildren(...told.set.map(setCookie));
  put("trips", trips(node.querySelector("[data-trips]").dataset, told));
  return node;
}

function trips(words, { trips, milliseconds }) {
  if (trips === null) return words.untold;
  const text = [words.zero, words.one][trips] ?? words.many;
  return text.replace("{n}", trips).replace("{ms}", milliseconds);
}

function setCookie(cookie) {
  const node = setCookieTemplate.content.cloneNode(true);
  node.querySelector("[data-name]").textContent = cookie.name;
  node.querySelector("[data-value]").textContent = value(cookie);
  const meter = node.querySelector("[data-meter]");
  meter.value = cookie.bytes;
  const bytes = node.querySelector("[data-bytes]");
  const words = cookie.bytes > meter.max ? bytes.dataset.over : bytes.dataset.text;
  bytes.textContent = words.replace("{n}", cookie.bytes.toLocaleString("en"));
  const attributes = node.querySelector("[data-attributes]");
  for (const attribute of cookie.attributes) {
    const row = document.createElement("div");
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = attribute.value ? `${attribute.name}=${attribute.value}` : attribute.name;
    meaning.textContent = attribute.meaning;
    row.append(term, meaning);
    attributes.append(row);
  }
  node.querySelector("[data-notes]").textContent = cookie.notes.join(" ");
  return node;
}

onWhole(() => showExchanges(latest));
