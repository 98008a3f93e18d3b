"use strict";

// A press on a merge field puts it into the text where the cursor stands.
document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    const text = document.getElementById("id_body");
    if (!button || !text) return;
    text.focus();
    text.setRangeText(button.dataset.insert, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
});
