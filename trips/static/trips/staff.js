"use strict";

// The attribute autofocus does nothing on a page that is hidden while it loads, as Unfold's is.
window.addEventListener("load", () => {
    const field = document.querySelector("[data-first]");
    const until = performance.now() + 20000;
    function enter() {
        // Django's own script gives the focus to the first field, too, at times before that is dressed: it holds it unseen.
        const hides = field.matches(".admin-autocomplete");
        const active = document.activeElement;
        if (active !== document.body && !(hides && active === field)) return; // somebody was quicker
        // Asked for anew each time: on a slow machine the choice is dressed after the page has loaded.
        const dressed = field.parentElement.querySelector(".select2-selection");
        (dressed ?? (hides ? null : field))?.focus({ preventScroll: true });
        if (performance.now() < until) requestAnimationFrame(enter); // the page may still be hidden
    }
    if (field) enter();
});

// Unfold's "Filters" and the dots beside a choice of a person or trip answer to the mouse alone: Tab reaches them too,
// Enter and Space press them, and what opens takes the focus.
document.addEventListener("DOMContentLoaded", () => {
    function press(button, label, opened) {
        button.tabIndex = 0;
        button.setAttribute("role", "button");
        if (label) button.setAttribute("aria-label", label);
        button.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            button.click();
            const menu = document.getElementById(opened);
            const enter = () => menu?.querySelector("a[href], input:not([type=hidden]), button")?.focus();
            setTimeout(enter, 150); // it fades in, and what is hidden takes no focus
        });
    }

    document.querySelectorAll('[x-on\\:click="filterOpen = true"]').forEach((button) => {
        press(button, "", "changelist-filter");
    });
    document.querySelectorAll("[x-ref^=relatedWidgetWrapper]").forEach((button) => {
        const name = button.getAttribute("x-ref").slice("relatedWidgetWrapper".length);
        press(button, "More for this choice", `related-widget-wrapper-${name}`);
    });
});

// A filter of one choice is applied at a click; whoever moves through it with the arrow keys presses Enter.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("filter-form");
    let pointed = false;
    form?.addEventListener("pointerdown", () => { pointed = true; });
    form?.addEventListener("keydown", () => { pointed = false; });
    form?.addEventListener("change", (event) => {
        if (pointed && event.target.matches("input[type=radio]")) form.requestSubmit();
    });
});

// What is done most often to ticked rows is one click away: the first actions of a list stand as buttons beside the menu.
document.addEventListener("DOMContentLoaded", () => {
    const menu = document.querySelector("#changelist-actions select[name=action]");
    const run = document.querySelector("#changelist-actions button[name=index]");
    if (!menu || !run) return;
    const options = [...menu.options].filter((option) => option.value && option.value !== "delete_selected");
    const bar = document.createElement("div");
    bar.className = "quick-actions";
    bar.append(...options.slice(0, 4).map((option) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = option.text;
        button.addEventListener("click", () => {
            menu.value = option.value;
            menu.dispatchEvent(new Event("change", { bubbles: true }));
            run.click();
        });
        return button;
    }));
    run.parentElement.after(bar);
});

// Ctrl+S (⌘S) saves the form of the page.
document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "s") return;
    const save = document.querySelector("#submit-row [name=_save], #submit-row [name=_continue]");
    if (!save) return;
    event.preventDefault();
    save.click();
});

// `/` goes to the search of the page; where there is none, to the one over everything.
window.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const field = document.querySelector("#searchbar, #find");
    event.preventDefault();
    if (field) field.focus();
    else location.assign("/find/");
});

// A choice is a text box to those who cannot see it, and has no name of its own: it takes that of its label.
window.addEventListener("load", () => {
    const until = performance.now() + 3000;
    function name() {
        document.querySelectorAll(".select2-selection__rendered:not([aria-label])").forEach((box) => {
            const select = box.closest(".select2")?.previousElementSibling;
            const label = select?.labels?.[0]?.textContent.trim() || select?.getAttribute("aria-label");
            if (label) box.setAttribute("aria-label", label);
        });
        if (performance.now() < until) setTimeout(name, 200); // some are dressed after the page has loaded
    }
    name();
});
