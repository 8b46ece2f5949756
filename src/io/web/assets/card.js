// Signing in: shows the password while the box is ticked.
for (const box of document.querySelectorAll("[data-show-password]")) {
  box.addEventListener("change", () => {
    for (const field of box.form.querySelectorAll('input[autocomplete$="password"]')) {
      field.type = box.checked ? "text" : "password";
    }
  });
}
