// Write the form's fields into the curl command.
const curl = document.querySelector("[data-curl]");
const plainCurl = curl.textContent;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const fieldsOf = (form) =>
  [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");

export function showCurl(form) {
  // The curl command must not show a password.
  const shownValue = (name, value) => (form.elements[name]?.type === "password" ? "…" : value);
  const pairs = fieldsOf(form);
  if (!pairs.length) return;
  const data = pairs
    .map(([name, value]) => `--data-urlencode ${quoted(`${name}=${shownValue(name, value)}`)} \\\n  `)
    .join("");
  // The replacements are functions, because "$" has a special meaning in a replacement string.
  curl.textContent =
    form.method === "get"
      ? plainCurl.replace("-c jar ", () => `-c jar -G \\\n  ${data}`)
      : plainCurl.replace("-d '' ", () => `\\\n  ${data}`);
}
