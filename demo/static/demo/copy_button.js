// Each button with data-copy copies the text of the element before it.
export function setUpCopyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    if (!navigator.clipboard) button.hidden = true;
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      const isCopied = await navigator.clipboard.writeText(text).then(
        () => true,
        () => false,
      );
      button.textContent = isCopied ? button.dataset.copied : button.dataset.failed;
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}
