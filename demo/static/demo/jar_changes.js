// Find the cookies that changed in a run without a Set-Cookie line of its responses.
import { identity, isAtOrBelow, isSame, nearestAbove, numberOfCookies, ownCookies, take, without } from "./jar.js";
import { clearsCookies, isCrowded, isDeletion } from "./verdicts.js";

// Return their names, paths and kinds, which verdict_texts.js puts into words. `before` and `after`
// are from readJar. A path that was not asked both times is left out.
export function otherChanges(exchanges, before, after) {
  const lines = linesThatCount(exchanges);
  const paths = [...before.sent.keys()].filter((path) => before.sent.get(path) && after.sent.get(path));
  const found = paths.flatMap((path) => changesAt(path, nearestAbove(path, paths), lines, before, after));
  const goneKind = kindOfGone(exchanges, before, after);
  const changes = found.map((change) => (change.kind === "gone" ? { ...change, kind: goneKind(change) } : change));
  return [...changes, ...changedAttributes(lines, before, after)];
}

// A line whose cookie the browser drops changes nothing, and of several for one cookie the last counts.
function linesThatCount(exchanges) {
  const lines = exchanges.flatMap(({ set, unlisted }) => [...set, ...unlisted]);
  const kept = lines.filter((line) => !line.reasons.length);
  return [...new Map(kept.map((line) => [identity(line), line])).values()];
}

function changesAt(path, above, lines, before, after) {
  const [old, now] = [before, after].map(({ sent }) => ownCookies(sent, path, above));
  const [gone, added] = [without(old, now), without(now, old)];
  const isHere = (line) => isAtOrBelow(path, line.path) && !(above && isAtOrBelow(above, line.path));
  for (const line of lines.filter(isHere)) takeExplained(line, now, gone, added);
  const changed = [];
  for (const cookie of [...gone]) {
    if (!take(added, ({ name }) => name === cookie.name)) continue;
    changed.push(take(gone, (other) => other === cookie));
  }
  const ofKind = (kind, cookies) => cookies.map(({ name, value }) => ({ name, value, path, kind }));
  return [...ofKind("gone", gone), ...ofKind("changed", changed), ...ofKind("new", added)];
}

// Remove from both arrays what the line did. What it did not do, its own verdict says.
function takeExplained(line, now, gone, added) {
  const isOfLine = (cookie) => cookie.name === line.name || isNamedByValue(cookie, line);
  const isSet = (cookie) => isOfLine(cookie) && (isNamedByValue(cookie, line) || isSame(cookie.value, line.value));
  if (isDeletion(line)) take(gone, isOfLine);
  else if (take(added, isSet)) take(gone, isOfLine);
  else if (!now.some(isSet)) {
    take(gone, isOfLine);
    take(added, isOfLine);
  }
}

// Firefox makes of a line without "=" a cookie that has this name and an empty value.
const isNamedByValue = (cookie, line) => !line.name && cookie.name === line.value && !cookie.value;

// Return the function that gives for a cookie that is gone the kind that names the reason.
function kindOfGone(exchanges, before, after) {
  const isCleared = exchanges.some(clearsCookies);
  const isFull = isCrowded(numberOfCookies(after));
  const hasExpired = ({ name, value }) =>
    before.stored.some((old) => old.name === name && old.value === value && old.expires && old.expires <= Date.now());
  return (cookie) => {
    if (isCleared) return "cleared";
    if (hasExpired(cookie)) return "expired";
    return isFull ? "evicted" : "gone";
  };
}

// The Cookie Store shows that a cookie has the same value and, for example, another age.
function changedAttributes(lines, before, after) {
  const asked = new Set(lines.map(identity));
  return before.stored.flatMap((old) => {
    const now = after.stored.find((cookie) => identity(cookie) === identity(old));
    const isChanged = now?.value === old.value && JSON.stringify(now) !== JSON.stringify(old);
    return isChanged && !asked.has(identity(old)) ? [{ name: old.name, path: old.path, kind: "attributes" }] : [];
  });
}
