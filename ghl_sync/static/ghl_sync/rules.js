// Field rules: the search narrows while one types, "/" goes to it, and what was changed is counted beside Save.
(() => {
  "use strict";

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-rules]");
    const search = document.querySelector("[data-rules-search]");
    if (!form || !search) return;
    const none = form.querySelector("[data-rules-none]");
    const count = form.querySelector("[data-rules-count]");
    const selects = [...form.querySelectorAll("select")];
    const first = new Map(selects.map((select) => [select, select.value]));

    function narrow() {
      const wanted = search.value.trim().toLowerCase();
      let shown = 0;
      for (const row of form.querySelectorAll("[data-rules-row]")) {
        row.hidden = !row.dataset.rulesRow.includes(wanted);
        shown += !row.hidden;
      }
      for (const whole of form.querySelectorAll("[data-rules-group], [data-rules-table]")) {
        whole.hidden = !whole.querySelector("[data-rules-row]:not([hidden])");
      }
      if (none) none.hidden = shown > 0 || !form.querySelector("[data-rules-row]");
    }

    function tell() {
      const touched = selects.filter((select) => select.value !== first.get(select));
      for (const select of selects) select.classList.toggle("rules-touched", touched.includes(select));
      if (count) count.textContent = touched.length ? `${touched.length} changed, not saved yet` : "";
    }

    document.querySelector("[data-rules-button]")?.setAttribute("hidden", "");
    search.addEventListener("input", narrow);
    search.form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", tell);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
      event.preventDefault();
      search.focus();
    });
    narrow();
    tell();
  });
})();
