// A button copies the text that stands before it.
export function readyToCopy() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    if (!navigator.clipboard) button.hidden = true;
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      const isDone = await navigator.clipboard.writeText(text).then(
        () => true,
        () => false,
      );
      button.textContent = isDone ? button.dataset.done : button.dataset.failed;
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}
