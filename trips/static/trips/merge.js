"use strict";

// Up and down go from field to field, left and right choose a side, Enter merges, n says that they are two people and
// x keeps the other one. Tab, the space bar and the buttons do the same without these keys.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-merge]");
    if (!form) return;
    const rows = [...form.querySelectorAll("[data-choice]")];
    const button = form.querySelector("[data-merge-button]");
    let sent = false;

    const radios = (row) => [...row.querySelectorAll("input[type=radio]")];
    const chosen = (row) => radios(row).find((one) => one.checked) || radios(row)[0];
    const first = rows.length ? chosen(rows[0]) : button;
    if (first) first.focus();

    form.addEventListener("submit", (event) => {
        if (sent) event.preventDefault(); // a key held down decides once
        sent = true;
    });

    const goTo = (row) => row && chosen(row).focus();
    const choose = (row, step) => {
        const all = radios(row);
        const next = all[all.indexOf(chosen(row)) + step];
        if (!next) return;
        next.checked = true;
        next.focus();
    };

    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        if (event.target.matches("input:not([type=radio]), select, textarea")) return;
        const row = event.target.closest("[data-choice]");
        const at = rows.indexOf(row);
        const moves = {
            ArrowDown: () => goTo(rows[at + 1]),
            ArrowUp: () => goTo(rows[at - 1]),
            ArrowRight: () => choose(row, 1),
            ArrowLeft: () => choose(row, -1),
        };
        if (row && moves[event.key]) {
            event.preventDefault(); // or the browser would choose and move in its own way
            moves[event.key]();
        } else if (event.key === "Enter" && row && button) {
            event.preventDefault();
            form.requestSubmit(button);
        } else if (event.key === "n" || event.key === "x") {
            const verb = form.querySelector(`[data-key="${event.key}"]`);
            if (verb) verb.click();
        }
    });
});
