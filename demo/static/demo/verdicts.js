// Compare the browser's cookies before and after a run with what each Set-Cookie line asked for.
import { identity, isAtOrBelow, isSame, numberOfCookies } from "./jar.js";

const DAY = 24 * 60 * 60;

// The longest age that browsers keep a cookie (RFC 6265bis, section 5.5).
const MAX_AGE = 400 * DAY;

// Clocks differ, and an age is read a little after it was set.
const TOLERANCE = 60 * 60;

// Browsers must keep so many cookies of a site, and may remove further ones (RFC 6265, section 6.1).
const MIN_COOKIES = 50;

// Add to each line of the exchanges its verdict: a kind and numbers, which verdict_texts.js puts
// into words. `before` and `after` are from readJar, `seconds` the time between them.
export function judge(exchanges, before, after, seconds) {
  const lines = exchanges.flatMap(({ set, unlisted }) => [...set, ...unlisted]);
  const known = { total: numberOfCookies(after), isCleared: exchanges.some(clearsCookies) };
  lines.forEach((line, index) => {
    const jar = { ...known, ...jarOf(line, before, after) };
    const others = lines.filter((other) => other !== line && other.name === line.name);
    const isReplaced = lines.slice(index + 1).some((later) => replaces(later, line));
    if (isReplaced) line.verdict = { kind: line.reasons.length ? "dropped" : "replaced" };
    else if (isDeletion(line)) line.verdict = deletionVerdict(line, jar, others);
    else line.verdict = settingVerdict(line, jar, others, seconds);
  });
  return lines;
}

export const isCrowded = (total) => total >= MIN_COOKIES;

// Browsers ignore the header where they do not trust the connection.
export const clearsCookies = ({ cleared }) => isSecureContext && /"(cookies|\*)"/.test(cleared ?? "");

export const isDeletion = (line) => line.age !== null && line.age <= 0;

// A line whose cookie the browser drops replaces nothing.
const replaces = (later, line) => identity(later) === identity(line) && !later.reasons.length;

// The cookies of the line's name before and after: values as sent to its path, undefined if
// unknown, and the very cookie in the Cookie Store, undefined if not visible there.
function jarOf(line, before, after) {
  const values = ({ sent }) =>
    sent.get(line.path)?.filter(({ name }) => name === line.name).map(({ value }) => value);
  const stored = (jar) => jar.stored.find((cookie) => identity(cookie) === identity(line));
  return {
    old: values(before),
    now: values(after),
    oldStored: stored(before),
    nowStored: stored(after),
  };
}

function settingVerdict(line, jar, others, seconds) {
  const { old, now, oldStored, nowStored } = jar;
  if (nowStored && isSame(nowStored.value, line.value)) {
    if (JSON.stringify(oldStored) === JSON.stringify(nowStored)) return unchangedVerdict(line, nowStored);
    const verdict = keptVerdict(line, nowStored.expires);
    const isRenewed = verdict.kind === "kept" && oldStored && isSame(oldStored.value, line.value);
    return isRenewed ? { kind: "renewed", ...endOf(nowStored.expires) } : verdict;
  }
  if (!now) return { kind: line.reasons.length ? "dropped" : "unseen" };
  const count = (values) => values.filter((value) => isSame(value, line.value)).length;
  if (!count(now)) return absentVerdict(line, jar, others, seconds);
  // Cookies of the same name and value for a path above this one are sent here too.
  const rivals = others.filter(
    (other) => other.value === line.value && identity(other) !== identity(line) && isSentTo(line.path, other),
  );
  const isNew = old ? count(now) - count(old) > rivals.length : !line.reasons.length;
  if (isNew) return keptVerdict(line);
  return rivals.length ? { kind: line.reasons.length ? "dropped" : "unclear" } : unchangedVerdict(line);
}

function absentVerdict(line, { old, now, total, isCleared }, others, seconds) {
  if (line.reasons.length) return { kind: "dropped" };
  if (line.age !== null && seconds >= line.age) return { kind: "ended" };
  if (isCleared) return { kind: "clearedToo" };
  const known = [...(old ?? now), ...others.map(({ value }) => value)];
  if (now.some((value) => !known.some((other) => isSame(value, other)))) return { kind: "overwritten" };
  return isCrowded(total) ? { kind: "crowded", total } : { kind: "dropped" };
}

const isSentTo = (path, cookie) => !isDeletion(cookie) && isAtOrBelow(path, cookie.path);

// The cookie was there before, so that only a rule speaks for or against its having been stored
// again. Not every browser has every rule.
// The Cookie Store shows when it ends; without it only what the line asks for is known.
function unchangedVerdict(line, stored) {
  if (line.reasons.length) return { kind: "earlier" };
  if (stored) return { kind: "same", ...endOf(stored.expires) };
  if (line.age > MAX_AGE) return keptVerdict(line);
  return { kind: "sameUnseen", ...endOf(line.age && Date.now() + line.age * 1000) };
}

// `end` is in milliseconds, null at the browser's end.
const endOf = (end) => (end ? { ends: "endsAt", end } : { ends: "endsWithBrowser" });

// `expires` is in milliseconds, null at the browser's end, and undefined if it is not visible.
function keptVerdict({ age }, expires) {
  if (expires === undefined) {
    return age > MAX_AGE ? { kind: "ageUnseen", asked: days(age) } : { kind: "kept" };
  }
  const seconds = expires && (expires - Date.now()) / 1000;
  const isShortened = age && seconds && age - seconds > TOLERANCE;
  return isShortened ? { kind: "shortened", asked: days(age), got: days(seconds) } : { kind: "kept" };
}

const days = (seconds) => Math.round(seconds / DAY);

function deletionVerdict(line, { old, now, oldStored, nowStored }, others) {
  if (oldStored) return { kind: nowStored ? "undeleted" : "deleted" };
  if (line.reasons.length) return { kind: "undeleted" };
  if (!now) return { kind: "unseen" };
  const setters = others.filter((other) => isSentTo(line.path, other));
  if (setters.some((other) => identity(other) !== identity(line))) return { kind: "unclear" };
  if (old?.length > now.length || setters.length) return { kind: "deleted" };
  if (now.length) return { kind: "elsewhere" };
  if (!old) return { kind: "absent" };
  // Over http a Secure cookie is not sent, and stays.
  return { kind: isSecureContext ? "nothing" : "nothingSent" };
}
