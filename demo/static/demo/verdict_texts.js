// Put into words what became of each Set-Cookie line: the messages are in parts/wire.html.
const messages = document.querySelector("[data-verdict-messages]").dataset;
const list = document.querySelector("[data-verdicts]");

// How many verdicts the result repeats, and names the status. The rest stand by their lines.
const MAX_SHOWN = 4;

const GOOD = ["kept", "renewed", "shortened", "ageUnseen", "same", "sameUnseen", "deleted"];
const DROPPED = ["dropped", "crowded"];
const DOUBTFUL = ["earlier"];
// Changes without a line of the responses that nobody asked for.
const SURPRISING = ["evicted", "gone", "changed", "new", "attributes"];
const UNDELETED = ["undeleted", "elsewhere", "nothing", "nothingSent"];

export function verdictClass({ verdict }) {
  if (GOOD.includes(verdict.kind)) return "good";
  return [...DROPPED, ...DOUBTFUL, ...UNDELETED].includes(verdict.kind) ? "warning" : "";
}

export const isDropped = ({ verdict }) => DROPPED.includes(verdict.kind);

export function verdictText({ verdict, reasons, unexplained }) {
  const reason = reasons.join(" ") || unexplained;
  const ends = verdict.ends && filled(messages[verdict.ends], { moment: momentText(verdict.end) });
  return filled(messages[verdict.kind], { ...verdict, reason, ends });
}

const filled = (message, values) => message.replace(/\{(\w+)\}/g, (_whole, name) => values[name]).trim();

// As the server writes a time, in UTC.
const momentText = (milliseconds) => milliseconds && new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ");

// Return what the status of a run must say of its cookies, "" if the browser did as it was asked.
// `changes` are those without a line.
export function warningText(lines, changes) {
  const ofKinds = (kinds) => lines.filter((line) => kinds.includes(line.verdict.kind));
  const named = (message, found) => {
    const names = [...new Set(found.map(nameText))];
    const shown = [...names.slice(0, MAX_SHOWN), ...(names.length > MAX_SHOWN ? ["…"] : [])];
    return names.length ? message.replace("{names}", () => shown.join(", ")) : "";
  };
  const warnings = [
    named(messages.statusDropped, ofKinds(DROPPED)),
    named(messages.statusDoubtful, ofKinds(DOUBTFUL)),
    named(messages.statusUndeleted, ofKinds(UNDELETED)),
    named(
      messages.statusOther,
      changes.filter(({ kind }) => SURPRISING.includes(kind)),
    ),
  ];
  return warnings.filter(Boolean).join(" · ");
}

export function showVerdicts(lines, changes, total) {
  const items = lines.slice(0, MAX_SHOWN).map(verdictItem);
  if (lines.length > MAX_SHOWN) {
    const item = document.createElement("li");
    item.textContent = messages.more.replace("{n}", lines.length - MAX_SHOWN);
    items.push(item);
  }
  for (const kind of new Set(changes.map((change) => change.kind))) items.push(changesItem(kind, changes, total));
  if ([...lines, ...changes].some(({ name }) => name === messages.csrfName)) items.push(csrfItem());
  list.replaceChildren(...items);
  list.hidden = !items.length;
}

// Say what the cookie is that no recipe sets.
function csrfItem() {
  const [item, name] = ["li", "code"].map((tag) => document.createElement(tag));
  name.textContent = messages.csrfName;
  item.className = "quiet";
  item.append(name, " ", messages.csrf);
  return item;
}

// One item names all cookies that changed in the same way.
function changesItem(kind, changes, total) {
  const [item, names] = ["li", "code"].map((tag) => document.createElement(tag));
  const changed = changes.filter((change) => change.kind === kind);
  names.textContent = changed.map(placedName).join(", ");
  item.dataset.change = kind;
  item.append(names, " ", filled(messages[kind], { total }));
  item.className = SURPRISING.includes(kind) ? "warning" : "";
  return item;
}

// A cookie's name, with the path to which it is sent if that is not the whole site.
export const placedName = (cookie) => (cookie.path === "/" ? nameText(cookie) : `${nameText(cookie)} (${cookie.path})`);

const nameText = ({ name }) => name || messages.nameless;

function verdictItem(line) {
  const [item, name, text] = ["li", "code", "span"].map((tag) => document.createElement(tag));
  name.textContent = nameText(line);
  text.textContent = verdictText(line);
  text.className = verdictClass(line);
  item.append(name, " ", text);
  return item;
}
