// Keeps the page one with Airflow's frame: colour mode, time zone, links that leave the frame.
// Runs first in <head>, so that nothing flashes; outside the frame everything still works.
"use strict";
(() => {
  const root = document.documentElement;
  const shell = window.parent === window ? null : window.parent.document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function mode() {
    for (const name of ["dark", "light"]) {
      if (shell?.classList.contains(name)) return name;
    }
    const chosen = localStorage.getItem("theme");
    if (chosen === "dark" || chosen === "light") return chosen;
    return system.matches ? "dark" : "light";
  }

  function paint() {
    root.dataset.theme = mode();
  }

  function zoneChosen() {
    // Airflow keeps it as JSON text; UTC when the reader chose nothing.
    const kept = localStorage.getItem("timezone");
    const name = (kept ?? "").replaceAll('"', "");
    return /^[A-Za-z0-9_+/-]+$/.test(name) ? name : "UTC";
  }

  function followZone() {
    const wanted = `encours_tz=${zoneChosen()}`;
    const known = document.cookie.split("; ").find((one) => one.startsWith("encours_tz="));
    if (known === wanted || (known === undefined && wanted === "encours_tz=UTC")) return;
    document.cookie = `${wanted}; Path=${root.dataset.path}; SameSite=Lax`;
    // Only when the browser kept the cookie, else it would reload for ever.
    if (document.cookie.split("; ").includes(wanted)) location.reload();
  }

  function leave(event) {
    const link = event.target.closest("a[data-shell]");
    if (link === null || shell === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    // The frame may not navigate the window, but a link in Airflow's own document may.
    const outside = window.parent.document.createElement("a");
    outside.href = link.href;
    window.parent.document.body.append(outside);
    outside.click();
    outside.remove();
  }

  paint();
  followZone();
  system.addEventListener("change", paint);
  window.addEventListener("storage", () => {
    paint();
    followZone();
  });
  if (shell !== null) {
    new MutationObserver(paint).observe(shell, { attributes: true, attributeFilter: ["class"] });
  }
  document.addEventListener("click", leave);
})();
