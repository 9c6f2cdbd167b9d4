// Run a recipe without leaving its page. Without this script the form opens the result.
import { setUpCopyButtons } from "./copy_button.js";
import { showCookieJar } from "./cookie_jar.js";
import { fieldsOf, showCurl } from "./curl.js";
import { numberOfCookies } from "./jar.js";
import { otherChanges } from "./jar_changes.js";
import { readJar } from "./jar_probe.js";
import { showVerdicts, warningText } from "./verdict_texts.js";
import { judge } from "./verdicts.js";
import { exchangesOf, masked, showExchanges, wireOptions } from "./wire.js";

const form = document.querySelector("form[data-recipe]");
const status = document.querySelector("[data-status]");
const body = document.querySelector("[data-body]");
const table = document.querySelector("[data-table]");
const page = document.querySelector("[data-page]");
const open = document.querySelector("[data-open]");
const otherTabs = new BroadcastChannel("cookieproj");

// The browser renews these whenever they are about to expire, whatever a run does.
const renewedInBackground = new Set(
  document.querySelector("[data-verdict-messages]").dataset.renewedInBackground.split(" "),
);

// Milliseconds.
const REFRESH_INTERVAL = 60_000;

// The longest timeout of a browser in milliseconds, about 25 days.
const MAX_TIMEOUT = 2 ** 31 - 1;

let latestRun = 0;
let runsInProgress = 0;
let refreshing = Promise.resolve();
let expiryTimer;
let knownCookies = document.cookie;
// The page with the values of the latest run that was not refused: its answers are about them.
let currentPage = location.href;
let answeredValues = String(new URLSearchParams(fieldsOf(form)));

async function run(event) {
  event.preventDefault();
  const thisRun = ++latestRun;
  // As they are now: a visitor may type on while the run waits.
  const fields = new URLSearchParams(fieldsOf(form));
  // A refresh may replace the CSRF token.
  await refreshing;
  runsInProgress += 1;
  const { outcome, lines, changes, total } = await sendAndJudge(fields);
  runsInProgress -= 1;
  // The response of a later run is already shown.
  if (thisRun !== latestRun) return;
  show(outcome, warningText(lines, changes));
  showVerdicts(
    outcome.exchanges.flatMap(({ set }) => set),
    changes,
    total,
  );
  showExchanges(outcome.exchanges);
  otherTabs.postMessage("ran");
  if (outcome.values) {
    answeredValues = outcome.values;
    currentPage = `${location.pathname}?${outcome.values}`;
  }
  await refresh();
}

// Return the outcome of a run, its Set-Cookie lines with what the browser made of them, the changes
// of other cookies, and the number of cookies after it.
async function sendAndJudge(fields) {
  const path = fields.get("path") ?? "";
  const before = await readJar([...formFolders(), ...(path.startsWith("/") ? [path] : [])]);
  const start = Date.now();
  const outcome = await sendForm(fields);
  const paths = outcome.exchanges.flatMap(({ set, unlisted }) => [...set, ...unlisted].map((line) => line.path));
  const after = await readJar(paths);
  return {
    outcome,
    lines: judge(outcome.exchanges, before, after, (Date.now() - start) / 1000),
    changes: otherChanges(outcome.exchanges, before, after).filter(({ name }) => !renewedInBackground.has(name)),
    total: numberOfCookies(after),
  };
}

// "/limits/nameless/" is in "/limits/", and both are sent the cookies of their own path.
const foldersOf = (path) => [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index + 1));

const formFolders = () => foldersOf(new URL(form.action).pathname);

async function sendForm(fields) {
  const isGet = form.method === "get";
  const query = String(fields);
  const token = form.elements.csrfmiddlewaretoken;
  if (token) fields.set(token.name, token.value);
  try {
    const response = isGet
      ? await fetch(query ? `${form.action}?${query}` : form.action, wireOptions())
      : await fetch(form.action, { ...wireOptions(), method: "POST", body: fields });
    const exchanges = exchangesOf(response);
    const keys = exchanges.flatMap((exchange) => exchange.keys);
    const target = response.redirected ? ` · ${masked(new URL(response.url).pathname, keys)}` : "";
    return {
      line: `${response.status} ${response.statusText}${target}`,
      kind: response.ok ? "good" : "wrong",
      ...(await contentOf(response)),
      url: response.ok && isPage(response) && response.url,
      values: isGet && response.ok && query,
      exchanges,
    };
  } catch (error) {
    return { line: `${form.dataset.unreachable} ${error.message}`, kind: "wrong", text: "", exchanges: [] };
  }
}

// A run whose cookie the browser did not keep is no success, whatever its status says.
function show({ line, kind, text, url, rows }, warning) {
  status.textContent = [line, warning].filter(Boolean).join(" · ");
  status.className = `status ${warning && kind === "good" ? "warning" : kind}`;
  body.textContent = text;
  body.hidden = !text;
  table.replaceChildren(...(rows ? [rows] : []));
  table.hidden = !rows;
  page.hidden = !url;
  if (url) open.href = url;
}

const isPage = (response) => response.headers.get("Content-Type")?.startsWith("text/html");

// Return the visible text of a page's main part and, apart from it, its table. Of Django's error page in
// development, return the heading.
async function contentOf(response) {
  const text = await response.text();
  if (!isPage(response)) return { text };
  const parsed = new DOMParser().parseFromString(text, "text/html");
  for (const unseen of parsed.querySelectorAll("[hidden], noscript, .crumb")) unseen.remove();
  // A heading that repeats this page's says nothing.
  const heading = parsed.querySelector("main h1");
  if (heading?.textContent === document.querySelector("h1").textContent) heading.remove();
  const errors = [...parsed.querySelectorAll("#summary h1, #summary .exception_value")];
  const nodes = errors.length ? errors : [parsed.querySelector("main") ?? parsed.body];
  const rows = parsed.querySelector("main table");
  rows?.remove();
  return { text: nodes.map((node) => node.textContent.replace(/\s*\n\s*/g, "\n").trim()).join("\n"), rows };
}

function refresh() {
  refreshing = loadCurrentState();
  return refreshing;
}

// A refresh may set a cookie, which would look like one of the run. The run's own refresh follows.
const refreshBetweenRuns = () => runsInProgress || refresh();

// Load the current page header, answers, CSRF token and cookie jar.
async function loadCurrentState() {
  let exchanges = [];
  knownCookies = document.cookie;
  try {
    const response = await fetch(currentPage, wireOptions());
    exchanges = exchangesOf(response);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    // After a change of language the rest of this page would not fit the new texts.
    const texts = page.documentElement.lang === document.documentElement.lang ? ["#state", "#answers"] : [];
    for (const selector of [...texts, "[name=csrfmiddlewaretoken]"]) {
      const [current, updated] = [document.querySelector(selector), page.querySelector(selector)];
      if (current && updated) current.replaceWith(updated);
    }
    noteOtherValues();
    refreshAtExpiry();
  } catch {
    // The cookie jar shows that the site does not answer.
  }
  showCookieJar(exchanges.at(-1), await readJar(formFolders()));
}

// Only a recipe that is run by GET has answers that depend on its form.
function noteOtherValues() {
  const isOther = String(new URLSearchParams(fieldsOf(form))) !== answeredValues;
  document.querySelector("[data-other-values]").hidden = form.method !== "get" || !isOther;
}

function showTyped() {
  showCurl(form);
  noteOtherValues();
}

// A script does not see that the session's HttpOnly cookie expires.
function refreshAtExpiry() {
  clearTimeout(expiryTimer);
  const expires = document.querySelector("#state time")?.dateTime;
  const milliseconds = Date.parse(expires) - Date.now() + 1000;
  if (milliseconds > 0 && milliseconds < MAX_TIMEOUT) expiryTimer = setTimeout(refreshBetweenRuns, milliseconds);
}

const refreshIfVisible = () => document.visibilityState === "visible" && refreshBetweenRuns();

form.addEventListener("submit", run);
form.addEventListener("input", showTyped);
window.addEventListener("focus", refreshBetweenRuns);
document.addEventListener("visibilitychange", refreshIfVisible);
otherTabs.addEventListener("message", refreshBetweenRuns);
setInterval(refreshIfVisible, REFRESH_INTERVAL);
// Notice a cookie that expires, or that somebody sets in the console.
setInterval(() => document.cookie !== knownCookies && refreshBetweenRuns(), 1000);
document.documentElement.classList.add("scripted");
showCurl(form);
setUpCopyButtons();
showExchanges([]);
refresh();
