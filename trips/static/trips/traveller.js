"use strict";

// The link's secret stands behind the #, which browsers send nowhere: it goes into the form, and out of the address.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-open]");
    function open() {
        const secret = location.hash.slice(1);
        if (!secret) return;
        history.replaceState(null, "", location.pathname);
        form.elements.link.value = secret;
        form.submit();
    }
    addEventListener("hashchange", open); // another link pasted into the address of this page
    open();
});
