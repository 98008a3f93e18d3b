"use strict";

// Unfold's icons are words in a font of pictures: what is read aloud leaves them out where other words say it.
document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".material-symbols-outlined").forEach((icon) => {
        const control = icon.closest("a, button, [role=button]");
        if (control && control.textContent.trim() === icon.textContent.trim() && !control.title && !control.ariaLabel) {
            control.setAttribute("aria-label", icon.textContent.trim() === "more_horiz" ? "Actions" : icon.textContent.trim());
        }
        icon.setAttribute("aria-hidden", "true");
    });
});

// Unfold writes a chosen file's name into a field that only its own file inputs have; at ours it fails. It passes over
// an input that has this mark.
document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("input[type=file].bulk-input").forEach((input) => { input.hasChangeListener = true; });
});

// Unfold's words for the search above the menu are longer than the field.
document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("nav-filter")?.setAttribute("placeholder", "Search the menu");
});
