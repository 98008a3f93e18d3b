// The conflict desk by keyboard: j and k move, o and t pick a side, Enter applies, ? shows the keys. On a record's page
// they go through its fields; in the list through its rows, where o and t ask for the confirmation. Without this file
// the pages are plain forms.
(() => {
  "use strict";

  const typing = "input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";

  function move(items, step) {
    if (!items.length) return;
    const at = items.findIndex((item) => item.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + step, 0), items.length - 1);
    items[next].focus();
    items[next].scrollIntoView({ block: "nearest" });
  }

  // The table of keys; while it is open no other key does anything.
  const dialog = () => document.querySelector(".conflict-keys");

  function help() {
    if (dialog()?.open) dialog().close();
    else dialog()?.showModal();
  }

  const current = (items) => items.find((item) => item.contains(document.activeElement));

  function record(form) {
    const fields = () => [...form.querySelectorAll("[data-conflict]")];
    const pick = (side) => {
      const field = current(fields()) ?? (fields().length === 1 ? fields()[0] : undefined);
      const radio = field?.querySelector(`[data-side="${side}"]`);
      if (radio) {
        radio.checked = true;
        field.focus();
      }
    };
    const wanted = document.querySelector("[data-focus]")?.dataset.focus;
    (document.getElementById(wanted) ?? fields()[0])?.focus({ preventScroll: !wanted });
    return {
      j: () => move(fields(), 1),
      k: () => move(fields(), -1),
      o: () => pick("o"),
      t: () => pick("t"),
      n: () => document.querySelector("[data-next]")?.click(),
      Enter: () => form.querySelector("input[type=radio]:checked") && form.requestSubmit(),
    };
  }

  function list(table) {
    const rows = [...table.querySelectorAll("tbody tr")].filter((row) => row.querySelector(".action-select"));
    rows.forEach((row) => (row.tabIndex = -1));
    const form = table.closest("form");
    const settle = (action) => {
      const row = current(rows);
      if (row && !form.querySelector(".action-select:checked")) row.querySelector(".action-select").checked = true;
      const select = form.querySelector("select[name=action]");
      if (!select || !form.querySelector(".action-select:checked")) return;
      select.value = action;
      form.submit();
    };
    return {
      j: () => move(rows, 1),
      k: () => move(rows, -1),
      x: () => current(rows)?.querySelector(".action-select").click(),
      o: () => settle("keep_ours"),
      t: () => settle("keep_theirs"),
      Enter: () => current(rows)?.querySelector("th a, td.field-title a")?.click(),
    };
  }

  // The page is hidden while it loads, and what is hidden takes no focus.
  window.addEventListener("load", () => {
    const form = document.querySelector("form[data-conflicts]");
    const table = document.getElementById("result_list");
    const keys = form ? record(form) : table ? list(table) : undefined;
    if (!keys) return;
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches(typing)) return;
      const act = event.key === "?" ? help : Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
      if (!act || (dialog()?.open && act !== help)) return;
      if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
      // The sidebar's search answers to "t" everywhere else: here the desk hears it first.
      event.preventDefault();
      event.stopPropagation();
      act();
    }, true);
  });
})();
