"use strict";

// Files dropped anywhere on the page go into the form and are sent at once; without this script one chooses them.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-drop]");
    if (!form) return;
    const input = form.querySelector("input[type=file]");
    const status = form.querySelector("[data-drop-status]");
    const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0; // dragenter and dragleave come for each element below, too

    function tell() {
        const count = input.files.length;
        status.textContent = count ? `${count} ${count === 1 ? "file" : "files"} chosen.` : "";
    }

    input.addEventListener("change", tell);
    document.addEventListener("dragenter", (event) => {
        if (!holdsFiles(event)) return;
        depth += 1;
        form.classList.add("doc-over");
    });
    document.addEventListener("dragleave", (event) => {
        if (!holdsFiles(event)) return;
        depth -= 1;
        if (depth < 1) form.classList.remove("doc-over");
    });
    document.addEventListener("dragover", (event) => {
        if (holdsFiles(event)) event.preventDefault(); // or the browser opens the file instead
    });
    document.addEventListener("drop", (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        input.files = event.dataTransfer.files;
        tell();
        status.textContent += " Uploading …";
        form.requestSubmit();
    });
});
