"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const find = (id) => document.getElementById(id);

  /* -- the filter -- */
  const form = find("filters");
  if (form) {
    const rows = Array.from(find("findings-table").tBodies[0].rows);
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const text = find("filter-text");
    const rule = find("filter-rule");
    const table = find("filter-table");
    const severities = Array.from(form.querySelectorAll("[name=severity]"));
    const show = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = new Set(severities.filter((box) => box.checked).map((box) => box.value));
      let count = 0;
      for (const row of rows) {
        const fits = wanted.has(row.dataset.severity)
          && (!rule.value || row.dataset.rule === rule.value)
          && (!table.value || row.dataset.table === table.value)
          && words.every((word) => texts.get(row).includes(word));
        row.hidden = !fits;
        count += fits ? 1 : 0;
      }
      find("shown").textContent = count === rows.length ? `${count} shown` : `${count} of ${rows.length} shown`;
      find("nothing").hidden = count > 0;
    };
    const clear = () => { form.reset(); show(); };
    form.hidden = false;
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    find("clear").addEventListener("click", clear);
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const typing = event.target instanceof Element && event.target.matches("input[type=search], select, textarea");
      if (event.key === "/" && !typing) {
        event.preventDefault();
        text.focus();
        text.select();
      } else if (event.key === "Escape" && form.contains(event.target)) {
        clear();
      }
    });
    const plans = find("plans");
    if (plans) {
      plans.addEventListener("click", () => {
        const open = plans.getAttribute("aria-pressed") !== "true";
        document.querySelectorAll("details.plan").forEach((one) => { one.open = open; });
        plans.setAttribute("aria-pressed", String(open));
        plans.textContent = open ? "Close all plans" : "Open all plans";
      });
    }
    show();
  }

  /* -- the diagram -- */
  const canvas = find("canvas");
  if (!canvas) return;
  const svg = canvas.querySelector("svg");
  const width = svg.viewBox.baseVal.width;
  const height = svg.viewBox.baseVal.height;
  let scale = 1;
  const zoom = (wanted, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) => {
    const next = Math.min(3, Math.max(0.08, wanted));
    const left = (canvas.scrollLeft + x) / scale;
    const top = (canvas.scrollTop + y) / scale;
    scale = next;
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    canvas.scrollLeft = left * scale - x;
    canvas.scrollTop = top * scale - y;
  };
  const fit = () => Math.min(1, canvas.clientWidth / width);
  const steps = { in: () => scale * 1.25, out: () => scale / 1.25, full: () => 1, fit };
  find("zoom").hidden = false;
  find("zoom").addEventListener("click", (event) => {
    const step = steps[event.target.dataset.zoom];
    if (step) zoom(step());
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const step = { "+": steps.in, "=": steps.in, "-": steps.out, 0: steps.full }[event.key];
    if (step) { event.preventDefault(); zoom(step()); }
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("moving");
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.classList.contains("moving")) return;
    canvas.scrollLeft -= event.movementX;
    canvas.scrollTop -= event.movementY;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => canvas.classList.remove("moving"));

  /* A table under the pointer lights up with its neighbours. */
  const tables = Array.from(svg.querySelectorAll(".table"));
  const links = Array.from(svg.querySelectorAll(".link"));
  const light = (name) => {
    svg.classList.toggle("lit", name !== null);
    const near = new Set([name]);
    for (const link of links) {
      const on = link.dataset.child === name || link.dataset.parent === name;
      link.classList.toggle("on", on);
      if (on) { near.add(link.dataset.child); near.add(link.dataset.parent); }
    }
    for (const table of tables) table.classList.toggle("on", near.has(table.dataset.table));
  };
  for (const table of tables) {
    table.addEventListener("pointerenter", () => light(table.dataset.table));
    table.addEventListener("pointerleave", () => light(null));
  }

  /* Small pictures are shown whole, large ones no smaller than they can be read. */
  zoom(Math.max(0.6, fit()));
  const bad = svg.querySelector(".table.bad") ?? svg.querySelector(".table");
  if (bad && scale > fit()) {
    const box = bad.getBoundingClientRect();
    const frame = canvas.getBoundingClientRect();
    canvas.scrollLeft += box.left - frame.left - frame.width / 3;
    canvas.scrollTop += box.top - frame.top - frame.height / 3;
  }
});
