// Put into words what became of each Set-Cookie line: the messages are in parts/wire.html.
const messages = document.querySelector("[data-verdict-messages]").dataset;
const list = document.querySelector("[data-verdicts]");

// How many verdicts the result repeats, and names the status. The rest stand by their lines.
const MAX_SHOWN = 4;

const GOOD = ["kept", "shortened", "ageUnseen", "same", "deleted"];
const DROPPED = ["dropped", "crowded"];
const DOUBTFUL = ["earlier"];
const UNDELETED = ["undeleted", "elsewhere", "nothing", "nothingSent"];

export function verdictClass({ verdict }) {
  if (GOOD.includes(verdict.kind)) return "good";
  return [...DROPPED, ...DOUBTFUL, ...UNDELETED].includes(verdict.kind) ? "warning" : "";
}

export function verdictText({ verdict, reasons, unexplained }) {
  const reason = reasons.join(" ") || unexplained;
  const values = { ...verdict, reason };
  return messages[verdict.kind].replace(/\{(\w+)\}/g, (_whole, name) => values[name]).trim();
}

// Return what the status of a run must say of its cookies, "" if the browser did as it was asked.
export function warningText(lines) {
  const named = (message, kinds) => {
    const all = lines.filter((line) => kinds.includes(line.verdict.kind)).map(nameText);
    const names = [...new Set(all)];
    const shown = [...names.slice(0, MAX_SHOWN), ...(names.length > MAX_SHOWN ? ["…"] : [])];
    return names.length ? message.replace("{names}", () => shown.join(", ")) : "";
  };
  const warnings = [
    named(messages.statusDropped, DROPPED),
    named(messages.statusDoubtful, DOUBTFUL),
    named(messages.statusUndeleted, UNDELETED),
  ];
  return warnings.filter(Boolean).join(" · ");
}

export function showVerdicts(lines) {
  const items = lines.slice(0, MAX_SHOWN).map(verdictItem);
  if (lines.length > MAX_SHOWN) {
    const item = document.createElement("li");
    item.textContent = messages.more.replace("{n}", lines.length - MAX_SHOWN);
    items.push(item);
  }
  list.replaceChildren(...items);
  list.hidden = !items.length;
}

const nameText = ({ name }) => name || messages.nameless;

function verdictItem(line) {
  const [item, name, text] = ["li", "code", "span"].map((tag) => document.createElement(tag));
  name.textContent = nameText(line);
  text.textContent = verdictText(line);
  text.className = verdictClass(line);
  item.append(name, " ", text);
  return item;
}
