// "Select all of this page": one box that ticks the others, and follows when they are ticked one by one.
(() => {
  document.addEventListener("DOMContentLoaded", () => {
    const whole = document.querySelector("[data-choose-all]");
    if (!whole) return;
    const all = whole.querySelector("input");
    const boxes = [...document.querySelectorAll('input[name="chosen"]')];

    function follow() {
      const ticked = boxes.filter((box) => box.checked).length;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }

    all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
    for (const box of boxes) box.addEventListener("change", follow);
    window.addEventListener("pageshow", follow); // the back button restores what was ticked
    whole.hidden = false;
  });
})();
