"use strict";
// Comfort only: without this script everything on the page can still be read. Texts of the bundle are put in and compared as texts.
(() => {
  document.documentElement.classList.add("scripted");

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

  // --- search and filters ---

  const form = document.getElementById("filters").content.querySelector("form");
  document.querySelector(".bar").append(form);
  const findable = [...document.querySelectorAll("[data-find]")].map((element) => ({ element, text: null }));
  const articles = findable.filter(({ element }) => element.matches("article"));
  const groups = document.querySelectorAll(".group, .layer");

  function wanted() {
    const chosen = new FormData(form);
    const boxes = form.querySelectorAll("[name=severity]");
    const severities = chosen.getAll("severity");
    return {
      words: chosen.get("text").toLowerCase().split(/\s+/).filter(Boolean),
      severities: severities.length === boxes.length ? null : severities,
      layer: chosen.get("layer"),
      card: chosen.get("card"),
    };
  }

  function fits(item, want) {
    const { severity, layer, cards } = item.element.dataset;
    if (want.severities && severity && !want.severities.includes(severity)) return false;
    if (want.layer && layer !== undefined && layer !== want.layer) return false;
    if (want.card && cards !== undefined && !cards.split(" ").includes(want.card)) return false;
    if (!want.words.length) return true;
    item.text ??= item.element.textContent.toLowerCase();
    return want.words.every((word) => item.text.includes(word));
  }

  function filter() {
    const want = wanted();
    for (const item of findable) item.element.classList.toggle("out", !fits(item, want));
    for (const group of groups) {
      group.classList.toggle("out", !group.querySelector("[data-find]:not(.out)"));
    }
    // What is folded is unfolded to show the hits of a search, but not the texts of all sources.
    for (const fold of want.words.length ? document.querySelectorAll("details.fold") : []) {
      fold.open = Boolean(fold.querySelector("[data-find]:not(.out)"));
    }
    tell(want);
  }

  function tell(want) {
    const left = (items) => items.filter(({ element }) => !element.classList.contains("out")).length;
    const all = want.words.length || want.severities || want.layer || want.card;
    const places = want.words.length ? `; ${left(findable)} places in all` : "";
    form.querySelector("output").value = all ? `${left(articles)} of ${articles.length} findings${places}` : "";
  }

  function clear() {
    form.reset();
    filter();
  }

  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 150);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      form.elements.text.focus();
    } else if (event.key === "Escape" && form.contains(event.target)) {
      clear();
    }
  });

  // --- the map: what a packet of this object passes is brought out ---

  for (const map of document.querySelectorAll(".topology")) {
    const parts = [...map.querySelectorAll("[data-part]")];
    const trace = (event) => {
      const name = event.target.closest("[data-part]")?.dataset.part ?? "host";
      const nets = new Set(parts.filter((part) => part.dataset.part === name).map((part) => part.dataset.net));
      const onNet = (part) => name === `net-${part.dataset.net}`;
      const members = new Set(parts.filter(onNet).map((part) => part.dataset.part));
      map.classList.toggle("tracing", name !== "host");
      for (const part of parts) {
        const other = part.dataset.part;
        const way = other === name || other === "host" || nets.has(other.replace(/^net-/, "")) || onNet(part);
        part.classList.toggle("on", way || (members.has(other) && part.dataset.net === undefined));
      }
    };
    for (const kind of ["pointerover", "focusin"]) map.addEventListener(kind, trace);
    for (const kind of ["pointerleave", "focusout"]) map.addEventListener(kind, () => map.classList.remove("tracing"));
  }

  // --- links into what is folded or filtered out ---

  function reveal() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    let changed = Boolean(target.closest(".out"));
    if (changed) clear();
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      changed ||= !fold.open;
      fold.open = true;
    }
    if (changed) target.scrollIntoView();
  }
  addEventListener("beforeprint", () => {
    for (const closed of document.querySelectorAll("#coverage details, details.packet")) closed.open = true;
  });
  addEventListener("hashchange", reveal);
  addEventListener("click", (event) => {
    if (event.target.closest("a")?.hash === location.hash) reveal();
  });
  reveal();
})();
