"use strict";

// The attribute autofocus does nothing on a page that is hidden while it loads, as Unfold's is.
window.addEventListener("load", () => {
    const field = document.querySelector("[data-first]");
    const box = field?.parentElement.querySelector(".select2-selection");
    (box ?? field)?.focus({ preventScroll: true });
});
