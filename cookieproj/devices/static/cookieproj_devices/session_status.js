// Tells the page when its session has ended, in another tab too, and when it is about to end.
const notice = document.querySelector("[data-signed-out]");
const countdown = document.querySelector("[data-session-end]");
const tabs = new BroadcastChannel("cookieproj_devices");

// A timer cannot wait for longer than 24 days, and a computer may sleep.
const LONGEST_WAIT = 60 * 60 * 1000;

// The server may be unreachable just when the page should warn.
const RETRY_AFTER = 5 * 1000;

let deadline = 0;
let timer = 0;

// Ask whose session this is. The request is no activity of the user.
async function check() {
  let status;
  try {
    const options = { cache: "no-store", headers: { "X-Session-Passive": "1" } };
    const response = await fetch(notice.dataset.statusUrl, options);
    status = response.ok ? await response.json() : null;
  } catch {
    status = null;
  }
  // Without an answer nobody knows, and the page stays as it is.
  if (!status) {
    if (countdown) retry();
    return;
  }
  const isSignedOut = status.user !== notice.dataset.user;
  toggle(notice, isSignedOut);
  if (!countdown) return;
  countdown.hidden = isSignedOut;
  clearTimeout(timer);
  if (!isSignedOut) count(status);
}

// Show what a live region's template contains, which screen readers then announce, or remove it.
function toggle(region, isShown) {
  const template = region.querySelector("template");
  if (isShown === (template.nextSibling !== null)) return;
  if (isShown) region.append(template.content.cloneNode(true));
  else while (template.nextSibling) template.nextSibling.remove();
}

function retry() {
  // A countdown that runs asks again at its end.
  if (countdown.classList.contains("warns") && deadline > Date.now()) return;
  clearTimeout(timer);
  timer = setTimeout(check, RETRY_AFTER);
}

function count(status) {
  deadline = Date.now() + status.seconds * 1000;
  countdown.querySelector("[data-stay]").hidden = status.is_absolute;
  countdown.querySelector("[data-sign-in]").hidden = !status.is_absolute;
  const time = countdown.querySelector("time");
  const moment = new Date(deadline);
  time.dateTime = moment.toISOString();
  time.textContent = moment.toLocaleTimeString(language(), { timeStyle: "short" });
  const untilWarning = deadline - Date.now() - countdown.dataset.warning * 1000;
  const warns = untilWarning <= 0;
  toggle(countdown.querySelector("[data-warn]"), warns);
  countdown.classList.toggle("warns", warns);
  countdown.querySelector("[data-left]").hidden = !warns;
  // Other tabs may have moved the end until then, so the server is asked again.
  if (warns) tick();
  else timer = setTimeout(check, Math.min(untilWarning, LONGEST_WAIT));
}

// Return the language of the page; undefined, for the browser's, if it has none that is valid.
function language() {
  try {
    return Intl.getCanonicalLocales(document.documentElement.lang)[0];
  } catch {
    return undefined;
  }
}

function tick() {
  const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
  const seconds = String(left % 60).padStart(2, "0");
  countdown.querySelector("[data-left]").textContent = `${Math.floor(left / 60)}:${seconds}`;
  timer = setTimeout(left ? tick : check, 1000);
}

async function stay(event) {
  event.preventDefault();
  const form = event.target;
  try {
    const body = new FormData(form);
    const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
    if (response.type !== "opaqueredirect") throw new Error(response.status);
  } catch {
    form.submit();
    return;
  }
  tabs.postMessage("active");
  check();
}

for (const form of document.querySelectorAll("[data-sign-out]")) {
  form.addEventListener("submit", () => {
    // By then the server has answered.
    addEventListener("pagehide", () => tabs.postMessage("signed out"));
  });
}
tabs.addEventListener("message", ({ data }) => {
  if (data === "signed out" || countdown?.classList.contains("warns")) check();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) check();
});
// The page comes back out of the back/forward cache.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) check();
});
if (countdown) {
  countdown.querySelector("[data-stay]").addEventListener("submit", stay);
  tabs.postMessage("active");
  check();
}
