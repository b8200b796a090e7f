// Runs before the first paint, so that neither theme nor language flashes. The same keys are read in src/lib/prefs.ts.
(() => {
  const root = document.documentElement;
  let theme = null;
  let lang = null;
  try {
    theme = localStorage.getItem('rixin.theme');
    lang = localStorage.getItem('rixin.lang');
  } catch {
    // Storage may be blocked; the system's choice stands.
  }
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset.theme = dark ? 'dark' : 'light';
  const chinese = lang ? lang === 'zh' : navigator.language.toLowerCase().startsWith('zh');
  root.lang = chinese ? 'zh-CN' : 'en';
})();
