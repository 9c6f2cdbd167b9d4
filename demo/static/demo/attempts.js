// Try an answer or an attack without leaving the page, so that the results of several can be compared. Without this
// script the form opens the page with the result of that one alone.
async function run(event) {
  event.preventDefault();
  const form = event.target;
  const card = form.closest(".card");
  const busy = (isBusy) => card.setAttribute("aria-busy", isBusy);
  if (card.getAttribute("aria-busy") === "true") return;
  busy(true);
  const show = await answerTo(form);
  busy(false);
  show(card);
}

// Return a function that shows the site's answer on the card.
async function answerTo(form) {
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return (card) => showAnswer(card, page);
  } catch (error) {
    const { unreachable } = form.closest(".attempts").dataset;
    return (card) => showFailure(card, `${unreachable} ${error.message}`);
  }
}

function showAnswer(card, page) {
  const answered = page.getElementById(card.id);
  if (!answered) return showFailure(card, textsOf(page, "h1, .lead").join(" "));
  const [current, updated] = [card, answered].map((each) => each.querySelector("form button"));
  // The button itself stays, and with it the focus.
  current.className = updated.className;
  current.textContent = updated.textContent;
  statusOf(card).replaceChildren(...statusOf(answered).childNodes);
}

function showFailure(card, text) {
  const failure = document.createElement("p");
  failure.className = "wrong";
  failure.textContent = text;
  statusOf(card).replaceChildren(failure);
}

const statusOf = (card) => card.querySelector("[role=status]");

const textsOf = (page, selector) => [...page.querySelectorAll(selector)].map((element) => element.textContent.trim());

for (const form of document.querySelectorAll(".attempts form")) form.addEventListener("submit", run);
