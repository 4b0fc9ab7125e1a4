// Before anything is drawn: light or dark, as chosen here or else as the system is. Streamlit keeps its own choice per address, so it
// is told for the address that is being opened. And it is told where its server is (it would ask below each page's address, and
// log two 404s), and that it shows no message of its own when the server is away: shell.js does.
(() => {
  const KEY = 'dashtrade-theme', NAMES = ['System', 'Light', 'Dark'];
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const chosen = () => {
    try { return NAMES.find(name => name === localStorage.getItem(KEY)) || 'System'; } catch { return 'System'; } // no storage
  };
  const apply = () => {
    const name = chosen();
    document.documentElement.style.colorScheme = name === 'System' ? (dark.matches ? 'dark' : 'light') : name.toLowerCase();
    try { localStorage.setItem(`stActiveTheme-${location.pathname}-v2`, JSON.stringify(name)); } catch { /* then it is the system's */ }
  };
  window.__streamlit = {
    BACKEND_BASE_URL: location.origin,
    HOST_CONFIG: { allowedOrigins: ['https://nobody.invalid'], useExternalAuthToken: false, enableCustomParentMessages: false, blockErrorDialogs: true },
  };
  window.dashtrade = {
    seen: Date.now(), // when a figure last came in
    theme: chosen,
    chooseTheme(name) {
      try { localStorage.setItem(KEY, name); } catch { return; }
      location.reload(); // Streamlit reads it when it starts
    },
    signIn() { // and back to where one is. replace(), so that the way back does not lead here again
      const here = location.pathname + location.search;
      location.replace('/auth/login' + (here === '/' ? '' : `?next=${encodeURIComponent(here)}`));
    },
  };
  apply();
  dark.addEventListener('change', apply);
})();
