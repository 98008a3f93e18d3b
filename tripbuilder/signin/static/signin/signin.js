"use strict";

document.querySelectorAll(".signin-print-button").forEach((button) => {
    button.addEventListener("click", () => window.print());
});
