"use strict";
// Comfort only: without this script everything on the page can still be read.
(() => {
  for (const block of document.querySelectorAll("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      button.textContent = (await copy(block)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    const frame = document.createElement("div");
    frame.className = "copyable";
    block.replaceWith(frame);
    frame.append(block, button);
  }

  async function copy(block) {
    try {
      await navigator.clipboard.writeText(block.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(block);
      return false;
    }
  }

  function reveal() {
    const target = document.getElementById(location.hash.slice(1));
    const closed = target?.closest("details:not([open])");
    if (closed) {
      closed.open = true;
      target.scrollIntoView();
    }
  }
  addEventListener("beforeprint", () => {
    for (const closed of document.querySelectorAll("details:not(.raw)")) closed.open = true;
  });
  addEventListener("hashchange", reveal);
  addEventListener("click", (event) => {
    if (event.target.closest("a")?.hash === location.hash) reveal();
  });
  reveal();
})();
