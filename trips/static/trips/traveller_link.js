"use strict";

// The new link into the clipboard; where the browser has none (plain http), it is marked and one copies it oneself.
document.addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-link]");
    if (!box) return;
    const input = box.querySelector("input");
    const told = box.querySelector("[data-copied]");
    box.querySelector("[data-copy]").addEventListener("click", async () => {
        input.select();
        try {
            await navigator.clipboard.writeText(input.value);
            told.textContent = "Copied.";
        } catch {
            told.textContent = "Marked: press Ctrl+C to copy it.";
        }
    });
});
