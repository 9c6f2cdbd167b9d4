// Run a recipe without leaving its page. Without this script the form simply opens the result.
import { readyToCopy } from "./copy.js";
import { showJar } from "./jar.js";
import { asked, showExchanges, told } from "./wire.js";

const form = document.querySelector("form[data-recipe]");
const status = document.querySelector("[data-status]");
const body = document.querySelector("[data-body]");
const page = document.querySelector("[data-page]");
const open = document.querySelector("[data-open]");
const curl = document.querySelector("[data-curl]");
const plainCurl = curl.textContent;

let seen = document.cookie;

const fields = () =>
  [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");

function show(line, kind, text, url) {
  status.textContent = line;
  status.className = `status ${kind}`;
  body.textContent = text;
  body.hidden = !text;
  page.hidden = !url;
  if (url) open.href = url;
}

// A page of the site is shown as the text that people would read on it.
async function textOf(response) {
  const text = await response.text();
  if (!response.headers.get("Content-Type")?.startsWith("text/html")) return text;
  const page = new DOMParser().parseFromString(text, "text/html");
  return (page.querySelector("main") ?? page.body).textContent.replace(/\s*\n\s*/g, "\n").trim();
}

async function run(event) {
  event.preventDefault();
  const isGet = form.method === "get";
  const query = new URLSearchParams(isGet ? fields() : new FormData(form));
  const options = isGet ? asked() : { ...asked(), method: "POST", body: query };
  try {
    const response = await fetch(isGet && query.size ? `${form.action}?${query}` : form.action, options);
    const where = response.redirected ? ` · ${new URL(response.url).pathname}` : "";
    const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
    show(
      `${response.status} ${response.statusText}${where}`,
      response.ok ? "good" : "wrong",
      await textOf(response),
      isPage && response.url,
    );
    showExchanges(told(response));
  } catch (error) {
    show(`${form.dataset.away} ${error.message}`, "wrong", "");
  }
  await refresh();
}

// What stands above the page, the CSRF token and the jar are those of now.
async function refresh() {
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
  } catch {
    // The jar says that the site does not answer.
  }
  showJar(exchanges.at(-1));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function showCurl() {
  const sent = fields();
  if (!sent.length) return;
  const given = sent.map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)} \\\n  `).join("");
  curl.textContent =
    form.method === "get"
      ? plainCurl.replace("-c jar ", `-c jar -G \\\n  ${given}`)
      : plainCurl.replace("-d '' ", `\\\n  ${given}`);
}

form.addEventListener("submit", run);
form.addEventListener("input", showCurl);
window.addEventListener("focus", refresh);
// A cookie that expires, or that somebody sets in the console.
setInterval(() => document.cookie !== seen && refresh(), 1000);
showCurl();
readyToCopy();
refresh();
