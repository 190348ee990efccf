// Says shortly before a session ends that it does, and keeps it open where somebody asks for that.
(() => {
  "use strict";
  const box = document.getElementById("session-ends");
  if (!box) return;
  const idle = Number(box.dataset.idle) * 1000;
  const last = Date.parse(box.dataset.until);
  const early = 3 * 60 * 1000;
  let until = Math.min(Date.now() + idle, last);
  const look = () => {
    const left = until - Date.now();
    box.hidden = left > early;
    box.querySelector("[data-before]").hidden = left <= 0;
    box.querySelector("[data-after]").hidden = left > 0;
  };
  box.querySelector("button").addEventListener("click", async () => {
    const answer = await fetch(box.dataset.stay, { method: "POST", headers: { "X-CSRF-Token": box.dataset.csrf } });
    until = answer.status === 204 ? Math.min(Date.now() + idle, last) : Date.now();
    look();
  });
  window.setInterval(look, 10000);
})();
