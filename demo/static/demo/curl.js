// Keep the options of the curl command at the form's fields: see demo/curl.py.
const options = document.querySelector("[data-curl-options]");

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const fieldsOf = (form) =>
  [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");

export function showCurl(form) {
  if (!options) return;
  // The curl command must not show a password.
  const shownValue = (name, value) => (form.elements[name]?.type === "password" ? "…" : value);
  options.textContent = fieldsOf(form)
    .map(([name, value]) => `--data-urlencode ${quoted(`${name}=${shownValue(name, value)}`)} \\\n  `)
    .join("");
}
