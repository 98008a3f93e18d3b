"use strict";

// The first group that was not skipped has the focus, so that Enter links it to its likeliest trip; s goes to the next one.
// What was skipped stays so while this tab is open: the page comes back after each link.
document.addEventListener("DOMContentLoaded", () => {
    const groups = [...document.querySelectorAll("[data-unlinked]")].filter((one) => one.querySelector("[data-accept]"));
    if (!groups.length) return;
    const store = "unlinked-skipped";
    const skipped = new Set(JSON.parse(sessionStorage.getItem(store) || "[]"));

    function focus() {
        const next = groups.find((one) => !skipped.has(one.dataset.unlinked));
        if (next) next.querySelector("[data-accept]").focus();
        else document.activeElement.blur();
    }

    document.addEventListener("keydown", (event) => {
        if (event.key !== "s" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        if (event.target.matches("input:not([type=checkbox]), select, textarea, .select2-selection")) return;
        event.preventDefault();
        const here = event.target.closest("[data-unlinked]") || groups.find((one) => !skipped.has(one.dataset.unlinked));
        if (here) skipped.add(here.dataset.unlinked);
        sessionStorage.setItem(store, JSON.stringify([...skipped]));
        focus();
    });

    for (const group of groups) {
        const button = group.querySelector("[data-accept]");
        button.addEventListener("focus", () => group.classList.add("sync-focus"));
        button.addEventListener("blur", () => group.classList.remove("sync-focus"));
    }
    focus();
});
