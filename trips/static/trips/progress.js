"use strict";

// Keeps the page of a run current until it is finished. An answer that does not come is asked for again.
document.querySelectorAll("[data-progress]").forEach((box) => {
    const look = async () => {
        try {
            const answer = await fetch(box.dataset.progress, { redirect: "error", headers: { "X-Background": "1" } });
            if (answer.ok) box.innerHTML = await answer.text();
        } catch {
            // The next look tries again.
        }
        watch();
    };
    const watch = () => {
        if (!box.querySelector("[data-finished]")) setTimeout(look, 1000);
    };
    watch();
});
