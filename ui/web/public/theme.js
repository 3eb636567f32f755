// Sets the theme that the user chose before anything is painted; src/settings.ts writes what this reads.
try {
  const { theme } = JSON.parse(localStorage.getItem('tracehound.settings') || '{}');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // No storage, or not ours: the system's theme it is.
}
