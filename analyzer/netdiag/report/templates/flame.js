"use strict";
// Zoom, search and the keyboard for flame graphs. Without this script they can be read as they stand.
(() => {
  const CHARACTER = 6.63, MARGIN = 5, SHORTEST = 24;
  for (const svg of document.querySelectorAll("svg.flame")) prepare(svg);

  function prepare(svg) {
    const width = Number(svg.dataset.width);
    const frames = [...svg.querySelectorAll(".frame")].map((group) => ({
      group,
      box: group.querySelector("rect"),
      label: group.querySelector("text"),
      name: group.dataset.name,
      depth: Number(group.dataset.depth),
      x: Number(group.querySelector("rect").getAttribute("x")),
      width: Number(group.querySelector("rect").getAttribute("width")),
    }));
    if (!frames.length) return;
    const tools = document.createElement("div");
    tools.className = "flame-tools";
    const search = document.createElement("input");
    search.type = "search";
    search.placeholder = "Search a function";
    search.setAttribute("aria-label", "Search a function in the flame graph");
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = "Show all";
    all.disabled = true;
    const said = document.createElement("span");
    said.className = "soft";
    said.setAttribute("role", "status");
    said.textContent = "Click a call to zoom in.";
    tools.append(search, all, said);
    svg.parentElement.before(tools);
    svg.classList.add("zooming");

    let focus = null;
    function show(target) {
      focus = target;
      all.disabled = !target;
      const left = target ? target.x : 0;
      const scale = target ? width / target.width : 1;
      for (const frame of frames) {
        const around = target && frame.depth < target.depth && contains(frame, target);
        const within = !target || contains(target, frame) && frame.depth >= target.depth;
        frame.group.classList.toggle("around", Boolean(around));
        frame.group.classList.toggle("away", !around && !within);
        place(frame, around ? 0 : (frame.x - left) * scale, around ? width : frame.width * scale);
      }
      said.textContent = target ? target.group.querySelector("title").textContent : "Click a call to zoom in.";
    }

    function contains(outer, inner) {
      const slack = 0.002;
      return outer.x <= inner.x + slack && outer.x + outer.width >= inner.x + inner.width - slack;
    }

    function place(frame, x, wide) {
      frame.box.setAttribute("x", x);
      frame.box.setAttribute("width", Math.max(wide, 0));
      const room = Math.floor((wide - 2 * MARGIN) / CHARACTER);
      const text = wide < SHORTEST || room < 2 ? "" : shorten(frame.name, room);
      if (!frame.label && text) {
        frame.label = document.createElementNS("http://www.w3.org/2000/svg", "text");
        frame.label.setAttribute("y", Number(frame.box.getAttribute("y")) + 13);
        frame.group.append(frame.label);
      }
      if (frame.label) {
        frame.label.setAttribute("x", x + MARGIN);
        frame.label.textContent = text;
      }
    }

    function shorten(name, room) {
      if (name.length <= room) return name;
      const tail = Math.floor((room - 1) / 3);
      return name.slice(0, room - 1 - tail) + "…" + (tail ? name.slice(-tail) : "");
    }

    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      svg.classList.toggle("searched", Boolean(wanted));
      let reached = [0, 0], share = 0;
      for (const frame of frames) {
        const hit = Boolean(wanted) && frame.name.toLowerCase().includes(wanted);
        frame.group.classList.toggle("hit", hit);
        // a call within another one that was found is counted with that
        if (hit && frame.x + 0.002 >= reached[1]) {
          share += frame.width;
          reached = [frame.x, frame.x + frame.width];
        }
      }
      const found = frames.filter((frame) => frame.group.classList.contains("hit")).length;
      said.textContent = wanted ? `${found} found, ${(100 * share / width).toFixed(1)}% of all` : "";
    });
    all.addEventListener("click", () => show(null));

    // one stop of the tab key for the whole drawing; the arrow keys walk from call to call
    for (const frame of frames) {
      frame.group.setAttribute("role", "button");
      frame.group.setAttribute("tabindex", frame === frames[0] ? "0" : "-1");
      frame.group.setAttribute("aria-label", frame.group.querySelector("title").textContent);
      frame.group.addEventListener("click", () => show(frame === focus ? null : frame));
      frame.group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") show(frame === focus ? null : frame);
        else if (event.key === "Escape") show(null);
        else if (event.key.startsWith("Arrow")) go(frame, event.key);
        else return;
        event.preventDefault();
      });
    }

    function go(frame, key) {
      const seen = frames.filter((other) => !other.group.classList.contains("away"));
      const at = seen.indexOf(frame);
      const level = seen.filter((other) => other.depth === frame.depth);
      const next = {
        ArrowUp: seen.slice(0, at).findLast((other) => other.depth === frame.depth - 1),
        ArrowDown: seen[at + 1]?.depth === frame.depth + 1 ? seen[at + 1] : null,
        ArrowLeft: level[level.indexOf(frame) - 1],
        ArrowRight: level[level.indexOf(frame) + 1],
      }[key];
      if (!next) return;
      frame.group.setAttribute("tabindex", "-1");
      next.group.setAttribute("tabindex", "0");
      next.group.focus();
    }
  }
})();
