// Show what is chosen at once, and show it again when a file was saved.
document.querySelectorAll("select").forEach((it) => it.addEventListener("change", () => it.form.submit()));
setInterval(async () => {
  try {
    const answer = await fetch("/version");
    if ((await answer.text()) !== document.body.dataset.version) location.reload();
  } catch { /* the command was stopped; it may come back */ }
}, 700);
