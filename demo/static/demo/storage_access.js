// The frame of another site: does it have access to its unpartitioned cookies? Ask for it on a click.
const has = document.querySelector("[data-has]");
const button = document.querySelector("[data-request]");
const refused = document.querySelector("[data-refused]");

button.addEventListener("click", async () => {
  try {
    await document.requestStorageAccess();
    // The next request of this frame carries the cookies.
    location.reload();
  } catch (error) {
    refused.textContent = `${error.name}: ${error.message}`;
  }
});

document.documentElement.classList.add("scripted");
const hasAccess = await document.hasStorageAccess();
has.textContent = hasAccess;
button.hidden = hasAccess;
