"use strict";

// Once a passenger is chosen for a new payment: says what they owe, and fills in what is due. An amount or currency
// that somebody typed is never overwritten.
window.addEventListener("load", () => {
    const passenger = document.getElementById("id_passenger");
    const amount = document.getElementById("id_amount");
    const currency = document.getElementById("id_currency");
    const kind = document.getElementById("id_kind");
    if (!passenger?.dataset.dueUrl || !amount || !currency) return;

    const filled = { amount: "", currency: currency.value }; // what stands there without anybody having typed it
    let known = null;
    let asked = 0;

    const said = document.createElement("p");
    said.className = "payment-due";
    said.setAttribute("role", "status");
    (passenger.closest(".related-widget-wrapper") ?? passenger).after(said);

    function fill(field, name, value) {
        if (field.value !== filled[name]) return;
        field.value = filled[name] = value;
    }

    function show() {
        said.textContent = known?.sentence ?? "";
        fill(amount, "amount", known?.amounts[kind?.value ?? "payment"] ?? "");
        if (known) fill(currency, "currency", known.currency);
    }

    async function due(number) {
        try {
            const answer = await fetch(`${passenger.dataset.dueUrl}?passenger=${encodeURIComponent(number)}`);
            return answer.ok ? await answer.json() : null;
        } catch {
            return null; // the line below the field says so
        }
    }

    async function ask() {
        const mine = ++asked;
        known = null;
        if (passenger.value) {
            const found = await due(passenger.value);
            if (mine !== asked) return; // somebody else was chosen meanwhile
            known = found;
        }
        show();
        if (passenger.value && !known) said.textContent = "What is due could not be found out; type the amount.";
    }

    // Select2 tells of a choice through jQuery alone.
    django.jQuery(passenger).on("change", ask);
    kind?.addEventListener("change", show);
    if (passenger.value) ask();
});
