"use strict";

// y approves, n goes to the reason (Enter there rejects), the right arrow skips. Buttons do the same without a keyboard.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-review]");
    if (!form) return;
    const other = form.querySelector("[data-reason]");
    let sent = false;
    form.addEventListener("submit", (event) => {
        if (sent) event.preventDefault(); // a key held down decides once
        sent = true;
    });
    other.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // or the form's first button, which approves, would be pressed
        form.requestSubmit(form.querySelector("[data-reject]"));
    });
    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        if (event.target.matches("input, select, textarea")) return;
        if (event.key === "n") {
            event.preventDefault();
            other.focus();
        }
        if (event.key === "y" || event.key === "ArrowRight") form.querySelector(`[data-key="${event.key}"]`).click();
    });
});
