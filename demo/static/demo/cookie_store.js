// List, set and delete cookies by the Cookie Store API, and show each event "change".
const form = document.querySelector("[data-set]");
const outcome = document.querySelector("[data-outcome]");
const all = document.querySelector("[data-all]");
const events = document.querySelector("[data-events]");

// Firefox gives a cookie's name and value only; Chromium adds its attributes.
async function showAll() {
  const texts = (await cookieStore.getAll()).map(textOf);
  all.replaceChildren(...(texts.length ? texts : [all.dataset.none]).map(item));
}

function showChange({ changed, deleted }) {
  for (const cookie of changed) events.append(item(`${events.dataset.changed}: ${textOf(cookie)}`));
  for (const cookie of deleted) events.append(item(`${events.dataset.deleted}: ${cookie.name}`));
  showAll();
}

// A long value may be a secret, such as the CSRF token.
function textOf({ name, value }) {
  return `${name}=${value.length > 32 ? `${value.slice(0, 8)}…` : value}`;
}

function item(text) {
  const node = document.createElement("li");
  node.textContent = text;
  return node;
}

// A refused cookie rejects the promise. Set-Cookie and document.cookie fail silently.
async function report(method, ...parameters) {
  outcome.textContent = await cookieStore[method](...parameters).then(
    () => `${method}: OK`,
    (error) => `${method}: ${error.message}`,
  );
}

function start() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    report("set", form.elements.name.value, form.elements.value.value);
  });
  form.querySelector("[data-delete]").addEventListener("click", () => {
    report("delete", form.elements.name.value);
  });
  cookieStore.addEventListener("change", showChange);
  showAll();
}

// It is missing in older browsers, and over http.
if ("cookieStore" in window) {
  start();
} else {
  document.querySelector("[data-unsupported]").hidden = false;
  form.querySelectorAll("button").forEach((button) => (button.disabled = true));
  all.replaceChildren(...(document.cookie ? document.cookie.split("; ") : [all.dataset.none]).map(item));
}
