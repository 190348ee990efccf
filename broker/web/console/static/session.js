// Says shortly before a session ends that it does, keeps it open where somebody asks for that, and clears what the
// page shows once it has ended: by time, or because somebody signed out in another window. It needs no server for that.
(() => {
  "use strict";
  const box = document.getElementById("session-ends");
  if (!box) return;
  const idle = Number(box.dataset.idle) * 1000;
  const last = Date.parse(box.dataset.until);
  const early = 3 * 60 * 1000;
  const main = document.getElementById("main");
  const windows = new BroadcastChannel("broker-session");
  const typed = new Set();
  let until = Math.min(Date.now() + idle, last);
  let over = false;

  const clear = (kept) => {
    over = true;
    main.replaceChildren(...kept);
    document.title = location.host;
    look();
  };
  const look = () => {
    const left = over ? 0 : until - Date.now();
    if (left <= 0 && !over) return clear(typed);
    const kept = over && main.firstChild !== null;
    box.hidden = left > early;
    box.querySelector("[data-before]").hidden = left <= 0;
    box.querySelector("[data-after]").hidden = left > 0 || !kept;
    box.querySelector("[data-cleared]").hidden = left > 0 || kept;
  };
  const used = () => {
    until = Math.min(Date.now() + idle, last);
  };

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[method=post]");
    if (form && main.contains(form)) typed.add(form);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[action$='/sign-out']")) windows.postMessage("out");
  });
  windows.addEventListener("message", (event) => {
    if (over) return;
    if (event.data === "out") clear([]);
    else used();
  });
  windows.postMessage("used"); // this page was asked for just now, which counts for the session of every window
  box.querySelector("button").addEventListener("click", async () => {
    const answer = await fetch(box.dataset.stay, { method: "POST", headers: { "X-CSRF-Token": box.dataset.csrf } });
    if (answer.status === 204) {
      used();
      windows.postMessage("used");
    } else until = Date.now();
    look();
  });
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  window.setInterval(look, 10000);
})();
