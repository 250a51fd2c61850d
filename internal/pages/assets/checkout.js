// Tells the page that frames a checkout what has become of it, counts down, and looks again while a payment is under way.
"use strict";
(() => {
  const page = document.querySelector("main");
  const { status, session, parentOrigin, expires } = page.dataset;
  const over = { completed: "payment_success", failed: "payment_error", expired: "payment_error", cancelled: "payment_error" };
  if (over[status] && parentOrigin && window.parent !== window) {
    window.parent.postMessage({ type: over[status], paymentSessionId: session, status }, parentOrigin);
  }
  if (status === "processing") {
    setTimeout(() => location.reload(), 1500);
  }
  const left = document.getElementById("left");
  if (left && status === "pending") {
    const until = Date.parse(expires);
    const tell = () => {
      const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
      const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
      if (hours >= 48) left.textContent = `(${Math.floor(hours / 24)} days left)`;
      else if (hours >= 2) left.textContent = `(${hours} hours left)`;
      else left.textContent = `(${minutes} min ${String(seconds % 60).padStart(2, "0")} s left)`;
      if (seconds === 0) location.reload();
      else setTimeout(tell, 1000);
    };
    tell();
  }
})();
