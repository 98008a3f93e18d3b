// Dragging a name onto a room sends the form that the menu beside the name sends.
(() => {
    "use strict";
    const form = document.querySelector("[data-rooming]");
    if (!form) return;
    let dragged = null;

    const roomAt = (target) => target.closest?.("[data-room]");
    const mark = (room) => {
        document.querySelectorAll(".rooming-over").forEach((one) => one.classList.remove("rooming-over"));
        room?.classList.add("rooming-over");
    };

    document.addEventListener("dragstart", (event) => {
        dragged = event.target.closest?.("[data-passenger]");
        if (dragged) event.dataTransfer.setData("text/plain", dragged.dataset.passenger);
    });
    document.addEventListener("dragend", () => { dragged = null; mark(null); });
    document.addEventListener("dragover", (event) => {
        const room = dragged && roomAt(event.target);
        mark(room);
        if (room) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
        const room = dragged && roomAt(event.target);
        if (!room) return;
        event.preventDefault();
        if (room === roomAt(dragged.parentElement)) return;
        form.elements.passenger.value = dragged.dataset.passenger;
        form.elements.number.value = room.dataset.room;
        form.submit();
    });
})();
