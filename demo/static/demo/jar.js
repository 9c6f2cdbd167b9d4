// Compare cookies, and read from what is sent to several paths where each cookie belongs.

// The server cuts the texts of a very long header and appends "…": see demo/wire.py.
const CUT = 100;

export function isSame(value, other) {
  const isCut = [value, other].some((text) => text.length === CUT + 1 && text.endsWith("…"));
  return value === other || (isCut && value.slice(0, CUT) === other.slice(0, CUT));
}

export const identity = ({ name, domain, path, partitioned }) =>
  JSON.stringify([name, domain ?? "", path, Boolean(partitioned)]);

// RFC 6265, section 5.1.4.
export const isAtOrBelow = (path, above) =>
  path === above || path.startsWith(above.endsWith("/") ? above : `${above}/`);

// Remove the first cookie that matches from the array and return it, undefined if none does.
export function take(cookies, matches) {
  const index = cookies.findIndex(matches);
  return index < 0 ? undefined : cookies.splice(index, 1)[0];
}

// Return the cookies without one of the same name and value for each of the others.
export function without(cookies, others) {
  const rest = [...cookies];
  for (const { name, value } of others) {
    take(rest, (cookie) => cookie.name === name && isSame(cookie.value, value));
  }
  return rest;
}

// Return the longest of the paths above this one, undefined if none is.
export const nearestAbove = (path, paths) =>
  paths
    .filter((other) => other !== path && isAtOrBelow(path, other))
    .sort((one, other) => other.length - one.length)[0];

// Return the cookies that are sent to this path and not above it. `sent` is from readJar.
export const ownCookies = (sent, path, above) => without(sent.get(path), sent.get(above) ?? []);

// Return how many different cookies the page sees in the jar.
export function numberOfCookies({ sent }) {
  const paths = [...sent.keys()].filter((path) => sent.get(path));
  const own = paths.map((path) => ownCookies(sent, path, nearestAbove(path, paths)).length);
  return own.reduce((sum, number) => sum + number, 0);
}
