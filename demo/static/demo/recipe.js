// Run a recipe without leaving its page. Without this script the form simply opens the result.
import { readyToCopy } from "./copy.js";
import { showJar } from "./jar.js";
import { asked, masked, showExchanges, told } from "./wire.js";

const form = document.querySelector("form[data-recipe]");
const status = document.querySelector("[data-status]");
const body = document.querySelector("[data-body]");
const page = document.querySelector("[data-page]");
const open = document.querySelector("[data-open]");
const curl = document.querySelector("[data-curl]");
const plainCurl = curl.textContent;
const otherTabs = new BroadcastChannel("cookieproj");

const SLOWLY = 60_000;

// What a browser can wait for at the most, some 25 days.
const LONGEST = 2 ** 31 - 1;

let latestRun = 0;
let refreshing = Promise.resolve();
let expiring;
let seen = document.cookie;

const fields = () =>
  [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");

async function run(event) {
  event.preventDefault();
  const mine = ++latestRun;
  // It may bring another CSRF token.
  await refreshing;
  const outcome = await sent();
  // A later run has its answer already.
  if (mine !== latestRun) return;
  show(outcome);
  showExchanges(outcome.exchanges);
  otherTabs.postMessage("ran");
  await refresh();
}

async function sent() {
  const isGet = form.method === "get";
  const query = String(new URLSearchParams(isGet ? fields() : new FormData(form)));
  try {
    const response = isGet
      ? await fetch(query ? `${form.action}?${query}` : form.action, asked())
      : await fetch(form.action, { ...asked(), method: "POST", body: new URLSearchParams(query) });
    const exchanges = told(response);
    const keys = exchanges.flatMap((exchange) => exchange.keys);
    const where = response.redirected ? ` · ${masked(new URL(response.url).pathname, keys)}` : "";
    return {
      line: `${response.status} ${response.statusText}${where}`,
      kind: response.ok ? "good" : "wrong",
      text: await textOf(response),
      url: response.ok && isPage(response) && response.url,
      exchanges,
    };
  } catch (error) {
    return { line: `${form.dataset.away} ${error.message}`, kind: "wrong", text: "", exchanges: [] };
  }
}

function show({ line, kind, text, url }) {
  status.textContent = line;
  status.className = `status ${kind}`;
  body.textContent = text;
  body.hidden = !text;
  page.hidden = !url;
  if (url) open.href = url;
}

const isPage = (response) => response.headers.get("Content-Type")?.startsWith("text/html");

// A page of the site is shown as the text that people would read on it, Django's own page for an
// error by what it says first.
async function textOf(response) {
  const text = await response.text();
  if (!isPage(response)) return text;
  const found = new DOMParser().parseFromString(text, "text/html");
  const error = [...found.querySelectorAll("#summary h1, #summary .exception_value")];
  const shown = error.length ? error : [found.querySelector("main") ?? found.body];
  return shown.map((node) => node.textContent.replace(/\s*\n\s*/g, "\n").trim()).join("\n");
}

function refresh() {
  refreshing = refreshed();
  return refreshing;
}

// What stands above the page, the CSRF token and the jar are those of now.
async function refreshed() {
  let exchanges = [];
  seen = document.cookie;
  try {
    const response = await fetch(location.href, asked());
    exchanges = told(response);
    const now = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const selector of ["#state", "[name=csrfmiddlewaretoken]"]) {
      const [old, fresh] = [document.querySelector(selector), now.querySelector(selector)];
      if (old && fresh) old.replaceWith(fresh);
    }
    refreshWhenItExpires();
  } catch {
    // The jar says that the site does not answer.
  }
  showJar(exchanges.at(-1));
}

// No script sees that the session's cookie goes.
function refreshWhenItExpires() {
  clearTimeout(expiring);
  const moment = document.querySelector("#state time")?.dateTime;
  const left = Date.parse(moment) - Date.now() + 1000;
  if (left > 0 && left < LONGEST) expiring = setTimeout(refresh, left);
}

const refreshIfSeen = () => document.visibilityState === "visible" && refresh();

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// Nobody shall read a password over a shoulder.
const shownValue = (name, value) => (form.elements[name]?.type === "password" ? "…" : value);

function showCurl() {
  const sent = fields();
  if (!sent.length) return;
  const given = sent
    .map(([name, value]) => `--data-urlencode ${quoted(`${name}=${shownValue(name, value)}`)} \\\n  `)
    .join("");
  // By functions: in a text that replaces another a dollar would be more than a dollar.
  curl.textContent =
    form.method === "get"
      ? plainCurl.replace("-c jar ", () => `-c jar -G \\\n  ${given}`)
      : plainCurl.replace("-d '' ", () => `\\\n  ${given}`);
}

form.addEventListener("submit", run);
form.addEventListener("input", showCurl);
window.addEventListener("focus", refresh);
document.addEventListener("visibilitychange", refreshIfSeen);
otherTabs.addEventListener("message", refresh);
setInterval(refreshIfSeen, SLOWLY);
// A cookie that expires, or that somebody sets in the console.
setInterval(() => document.cookie !== seen && refresh(), 1000);
document.documentElement.classList.add("scripted");
// Some browsers keep what was typed when a page is loaded anew.
if ([...form.elements].some((field) => "defaultValue" in field && field.value !== field.defaultValue)) showCurl();
readyToCopy();
showExchanges([]);
refresh();
