// Runs before the first paint, so that the page does not flash in the other theme. A file of its own because a
// strict Content-Security-Policy refuses inline scripts.
try {
  const theme = localStorage.getItem('nowcast.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {}
