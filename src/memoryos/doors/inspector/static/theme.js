// Applies the stored theme before the first rendering; shell.js changes it.
{
  let theme = null;
  try {
    theme = localStorage.getItem("memoryos-theme");
  } catch {
    // Without local storage the system's theme is used.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
