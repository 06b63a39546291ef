// Everything works without this file. It adds a button to what one may want to
// copy, says that a slow page is on its way, and closes the menu with Escape.
"use strict";

for (const code of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break; // only over TLS or on this machine
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small quiet";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  (code.closest("pre") ?? code).after(button);
}

for (const link of document.querySelectorAll("a[data-slow]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const text = link.textContent;
    link.textContent = "Asking the DNS …";
    addEventListener("pageshow", () => { link.textContent = text; }, { once: true });
  });
}

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (event.key !== "Escape" || !menu) return;
  menu.removeAttribute("open");
  menu.querySelector("summary").focus();
});
