"use strict";
(function () {
  const root = document.documentElement;
  const KEY = "d1ops-theme";
  function remembered() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  function remember(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* a page opened as a file may have no storage */ }
  }
  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function themes() {
    const button = document.getElementById("theme");
    const show = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Show the page in ${isDark() ? "light" : "dark"} colours`);
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      remember(root.dataset.theme);
      show();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }

  /* Every table.sortable gets a button in each heading; the order of equal rows stays as it was. */
  function sortable(table) {
    const body = table.tBodies[0];
    const original = Array.from(body.rows);
    const headings = Array.from(table.tHead.rows[0].cells);
    const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
    headings.forEach((heading, column) => {
      if (heading.dataset.sort === "none") return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
        const sorted = original.slice().sort((a, b) => (down ? -1 : 1) * order.compare(value(a), value(b)));
        body.append(...sorted);
      });
    });
  }

  function copying() {
    for (const block of document.querySelectorAll("pre.copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copying";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy the SQL");
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(block.textContent);
          button.textContent = "Copied";
        } catch {
          const range = document.createRange();
          range.selectNodeContents(block);
          getSelection().removeAllRanges();
          getSelection().addRange(range);
          button.textContent = "Selected";
        }
      });
      block.after(button);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    root.classList.add("js");
    themes();
    document.querySelectorAll("table.sortable").forEach(sortable);
    copying();
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  });
})();
