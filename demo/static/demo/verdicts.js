// Compare the browser's cookies before and after a run with what each Set-Cookie line asked for.

const DAY = 24 * 60 * 60;

// The longest age that browsers keep a cookie (RFC 6265bis, section 5.5).
const MAX_AGE = 400 * DAY;

// Clocks differ, and an age is read a little after it was set.
const TOLERANCE = 60 * 60;

// Browsers must keep so many cookies of a site, and may remove further ones (RFC 6265, section 6.1).
const MIN_COOKIES = 50;

// The server cuts the texts of a very long header and appends "…": see demo/wire.py.
const CUT = 100;

// Add to each line of the exchanges its verdict: a kind and numbers, which verdict_texts.js puts
// into words. `before` and `after` are from readJar, `seconds` the time between them.
export function judge(exchanges, before, after, seconds) {
  const lines = exchanges.flatMap((exchange) => exchange.set);
  lines.forEach((line, index) => {
    const jar = jarOf(line, before, after);
    const others = lines.filter((other) => other !== line && other.name === line.name);
    const isReplaced = lines.slice(index + 1).some((later) => replaces(later, line));
    if (isReplaced) line.verdict = { kind: line.reasons.length ? "dropped" : "replaced" };
    else if (isDeletion(line)) line.verdict = deletionVerdict(line, jar, others);
    else line.verdict = settingVerdict(line, jar, others, seconds);
  });
  return lines;
}

const isDeletion = (line) => line.age !== null && line.age <= 0;

const identity = ({ name, domain, path, partitioned }) =>
  JSON.stringify([name, domain ?? "", path, Boolean(partitioned)]);

// A line whose cookie the browser drops replaces nothing.
const replaces = (later, line) => identity(later) === identity(line) && !later.reasons.length;

// The cookies of the line's name before and after: values as sent to its path, undefined if
// unknown, and the very cookie in the Cookie Store, undefined if not visible there.
function jarOf(line, before, after) {
  const values = ({ sent }) =>
    sent.get(line.path)?.filter(({ name }) => name === line.name).map(({ value }) => value);
  const stored = (jar) => jar.stored.find((cookie) => identity(cookie) === identity(line));
  return {
    total: after.sent.get(line.path)?.length,
    old: values(before),
    now: values(after),
    oldStored: stored(before),
    nowStored: stored(after),
  };
}

function settingVerdict(line, { total, old, now, oldStored, nowStored }, others, seconds) {
  if (nowStored && isSame(nowStored.value, line.value)) {
    const isAsBefore = JSON.stringify(oldStored) === JSON.stringify(nowStored);
    return isAsBefore ? unchangedVerdict(line) : keptVerdict(line, nowStored.expires);
  }
  if (!now) return { kind: line.reasons.length ? "dropped" : "unseen" };
  const count = (values) => values.filter((value) => isSame(value, line.value)).length;
  if (!count(now)) return absentVerdict(line, total, seconds);
  // Cookies of the same name and value for a path above this one are sent here too.
  const rivals = others.filter(
    (other) => other.value === line.value && identity(other) !== identity(line) && isSentTo(line.path, other),
  );
  const isNew = old ? count(now) - count(old) > rivals.length : !line.reasons.length;
  if (isNew) return keptVerdict(line);
  return rivals.length ? { kind: line.reasons.length ? "dropped" : "unclear" } : unchangedVerdict(line);
}

function absentVerdict(line, total, seconds) {
  if (line.age !== null && seconds >= line.age) return { kind: "ended" };
  const isCrowded = total >= MIN_COOKIES && !line.reasons.length;
  return isCrowded ? { kind: "crowded", total } : { kind: "dropped" };
}

const isSentTo = (path, cookie) => !isDeletion(cookie) && isAtOrBelow(path, cookie.path);

// RFC 6265, section 5.1.4.
const isAtOrBelow = (path, above) =>
  path === above || path.startsWith(above.endsWith("/") ? above : `${above}/`);

// The cookie was there before, so that only a rule speaks for or against its having been stored
// again. Not every browser has every rule.
const unchangedVerdict = (line) => ({ kind: line.reasons.length ? "earlier" : "same" });

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
  if (!old) return { kind: "gone" };
  // Over http a Secure cookie is not sent, and stays.
  return { kind: isSecureContext ? "nothing" : "nothingSent" };
}

function isSame(value, other) {
  const isCut = [value, other].some((text) => text.length === CUT + 1 && text.endsWith("…"));
  return value === other || (isCut && value.slice(0, CUT) === other.slice(0, CUT));
}
