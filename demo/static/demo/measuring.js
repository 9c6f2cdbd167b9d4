// Say that the benchmark runs, until the page with its figures comes.
const form = document.querySelector("form.measure");

function start(event) {
  if (isBusy()) return event.preventDefault();
  showBusy(true);
}

const isBusy = () => form.getAttribute("aria-busy") === "true";

function showBusy(busy) {
  form.setAttribute("aria-busy", busy);
  form.querySelector("[role=status]").textContent = busy ? form.dataset.busy : "";
}

// There is no button unless DEBUG is on.
form?.addEventListener("submit", start);
// Back from another page, the browser may show this one as it was left.
if (form) window.addEventListener("pageshow", () => showBusy(false));
