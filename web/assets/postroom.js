// Everything works without this file. It adds a button to what one may want to
// copy, says that a slow page is on its way, closes the menu with Escape, follows long
// work, ticks all boxes of a list at once, and takes the setup code out of the address.
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

const code = document.querySelector("input[data-fragment]");
if (code && location.hash.length > 1) {
  code.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname); // so that nobody reads it over a shoulder, or in the history
  document.getElementById("address").focus();
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

// A page about long work follows it without being loaded anew. While the server is
// away, because it is being restarted, it tries again.
async function follow(work) {
  let next;
  try {
    const answer = await fetch(location.href);
    next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#work");
    if (!next) return location.reload(); // signed out, perhaps
  } catch {
    return setTimeout(follow, 2000, work);
  }
  if (!next.matches("[data-running]")) {
    const focused = work.contains(document.activeElement);
    work.replaceWith(next);
    if (focused) next.querySelector("a, button").focus();
    return;
  }
  const now = next.querySelectorAll("[data-live]");
  work.querySelectorAll("[data-live]").forEach((old, i) => {
    if (old.tagName === "PROGRESS") { old.max = now[i].max; if (now[i].hasAttribute("value")) old.value = now[i].value; }
    else old.textContent = now[i].textContent;
  });
  setTimeout(follow, 700, work);
}
const work = document.querySelector("#work[data-running]");
if (work) setTimeout(follow, 700, work);

// A box above several others ticks them all, and says how many are.
for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = () => [...document.querySelectorAll(`input[type=checkbox][form="${all.dataset.all}"]`)].filter((box) => box !== all);
  const count = document.querySelector(`[data-count="${all.dataset.all}"]`);
  const tell = () => {
    const ticked = boxes().filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
    if (count) count.textContent = ticked === 0 ? "none" : ticked;
  };
  all.closest("[hidden]")?.removeAttribute("hidden");
  all.addEventListener("change", () => { boxes().forEach((box) => { box.checked = all.checked; }); tell(); });
  boxes().forEach((box) => box.addEventListener("change", tell));
  tell();
}
