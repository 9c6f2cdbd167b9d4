// Run a recipe without leaving its page. Without this script the form simply opens the raw result.
const form = document.querySelector("form[data-recipe]");
const status = document.querySelector("[data-status]");
const body = document.querySelector("[data-body]");
const cookies = document.querySelector("[data-cookies]");

function showCookies() {
  cookies.textContent = document.cookie.split("; ").join("\n") || cookies.dataset.none;
}

function show(line, kind, text) {
  status.textContent = line;
  status.className = `status ${kind}`;
  body.textContent = text;
  body.hidden = !text;
  showCookies();
}

async function run(event) {
  event.preventDefault();
  const sent = new URLSearchParams(new FormData(form));
  const isGet = form.method === "get";
  try {
    const response = isGet
      ? await fetch(`${form.action}?${sent}`)
      : await fetch(form.action, { method: "POST", body: sent });
    const where = response.redirected ? ` · redirected to ${new URL(response.url).pathname}` : "";
    show(`${response.status} ${response.statusText}${where}`, response.ok ? "good" : "wrong", await response.text());
  } catch (error) {
    show(`The site did not answer: ${error.message}`, "wrong", "");
  }
}

if (form) {
  form.addEventListener("submit", run);
  showCookies();
}
