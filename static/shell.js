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

// Unfold shows a page only when its scripts are ready, and then a browser has given up on `autofocus`.
document.addEventListener("alpine:initialized", () => requestAnimationFrame(() => {
    if (document.activeElement === document.body) document.querySelector("body.login [autofocus]")?.focus();
}));

// Before one has signed in, Unfold's switch of light and dark is a link that leads nowhere and no key reaches.
document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("body.login a:not([href])").forEach((control) => {
        control.role = "button";
        control.tabIndex = 0;
        if (control.matches('[x-on\\:click^="openTheme"]')) control.ariaLabel = "Light or dark";
        control.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            control.click();
        });
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
