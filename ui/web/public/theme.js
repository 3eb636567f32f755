// Sets theme and density as the user chose them before anything is painted; src/settings.ts writes what this reads.
try {
  const { theme, dense } = JSON.parse(localStorage.getItem('tracehound.settings') || '{}');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  if (dense === true) document.documentElement.dataset.dense = '';
} catch {
  // No storage, or not ours: the system's theme it is.
}
