// Sets the wanted theme before the page is drawn; app.js changes it.
{
  let theme = null;
  try {
    theme = localStorage.getItem("memoryos-theme");
  } catch {
    // A browser that keeps nothing shows the theme of the system.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
