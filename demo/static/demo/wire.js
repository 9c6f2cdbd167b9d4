// What the server repeats of a request and its response: see demo/wire.py.
const panel = document.querySelector("[data-wire]");
const whole = document.querySelector("[data-whole]");
const exchangeTemplate = document.querySelector("[data-exchange]");
const setCookieTemplate = document.querySelector("[data-set-cookie]");

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

export function value(cookie) {
  const hidden = cookie.secret && !whole.checked && cookie.value.length > SHOWN;
  return hidden ? `${cookie.value.slice(0, SHOWN)}…` : cookie.value;
}

export function onWhole(listener) {
  whole.addEventListener("change", listener);
}

export function showExchanges(exchanges) {
  latest = exchanges;
  if (exchanges.length) panel.replaceChildren(...exchanges.map(exchange));
}

function exchange(told) {
  const node = exchangeTemplate.content.cloneNode(true);
  const put = (name, text) => (node.querySelector(`[data-${name}]`).textContent = text);
  put("request", told.request);
  const sent = told.sent.map((cookie) => (cookie.name ? `${cookie.name}=${value(cookie)}` : value(cookie)));
  put("sent", sent.length ? `\nCookie: ${sent.join("; ")}` : "");
  put("answer", told.location ? `${told.status}\nLocation: ${told.location}` : told.status);
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
