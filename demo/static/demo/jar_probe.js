// Ask the browser which cookies it has, by what it sends to this site: see demo/wire.py.
import { exchangesOf, isReported } from "./wire.js";

const probedPaths = new Set(["/"]);

// Return what the browser sends to each path, HttpOnly cookies too, and what its Cookie Store API
// shows. Paths are remembered, so that the next run knows them before its response names them.
export async function readJar(paths) {
  if (!isReported) return { sent: new Map(), stored: [] };
  for (const path of paths) probedPaths.add(path);
  const sent = Promise.all([...probedPaths].map(async (path) => [path, await sentTo(path)]));
  return { sent: new Map(await sent), stored: await storedCookies() };
}

// The cookies sent to a path, or undefined if it cannot be asked. Those of longer paths come first.
async function sentTo(path) {
  const url = new URL(location.origin);
  url.pathname = path;
  if (url.pathname !== path) return undefined;
  try {
    return exchangesOf(await fetch(url, { headers: { Wire: "jar" }, cache: "no-store" }))[0]?.sent;
  } catch {
    return undefined;
  }
}

// The cookies for this page's address that scripts may read. Chromium adds their attributes.
async function storedCookies() {
  const cookies = (await globalThis.cookieStore?.getAll()) ?? [];
  return cookies.filter((cookie) => cookie.path);
}
