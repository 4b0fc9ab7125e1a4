// What must work when the pages do not: it says that the server is away, closes the menu of a phone, ends a session that has
// ended, and opens a page again that has stayed empty.
(() => {
  const engine = document.currentScript.dataset.engine;
  const html = document.documentElement;
  const find = name => document.querySelector(`[data-testid="${name}"]`);
  const later = { cache: 'no-store' };

  // --- the server is away ----------------------------------------------------------------------------------------------------

  const PATIENCE = 2000, ALIVE_EVERY = 20000, ASK_EVERY = 5000, TIMEOUT = 4000;
  let lostAt = 0, hung = false, crowded = false, banner, ticking, known = '';

  const connected = () => !hung && find('stApp')?.dataset.testConnectionState === 'CONNECTED';
  const clock = at => {
    const timeZone = document.querySelector('[data-zone]')?.dataset.zone;
    return new Date(at).toLocaleTimeString('en-GB', timeZone ? { timeZone } : {});
  };
  const ago = at => {
    const seconds = Math.round((Date.now() - at) / 1000);
    return seconds < 90 ? `${seconds} s ago` : seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
  };

  const MEANS = {
    '': 'Stops managed by DashTrade are not watched until it is back.',
    up: 'Only the dashboard is away: the engine answers. Alerts are taken, and stops managed by DashTrade are watched.',
    idle: 'Alerts are taken, but the engine does not work on them. Stops managed by DashTrade are not watched until it is back.',
    crowded: 'Newer tabs of yours have taken its place: close some of them, and this one goes on. DashTrade itself is up.',
    offline: 'This device has no network. What DashTrade does meanwhile cannot be seen from here.',
  };

  async function askEngine() {
    if (!navigator.onLine) return 'offline';
    if (crowded) return 'crowded';
    if (!engine) return '';
    try {
      const answer = await fetch(`${engine}/health`, { ...later, credentials: 'omit', signal: AbortSignal.timeout(TIMEOUT) });
      const health = await answer.json();
      return health.worker === 'ok' && health.database === 'ok' ? 'up' : 'idle';
    } catch { return ''; } // neither of the two answers
  }

  function draw() {
    if (!lostAt) return;
    if (!banner) {
      banner = document.createElement('div');
      banner.className = 'dt-lost';
      banner.setAttribute('role', 'alert');
      banner.append(document.createElement('b'), ' ', document.createElement('span'));
      document.body.append(banner);
      html.classList.add('dt-away');
    }
    const [what, means] = banner.children;
    const said = `Connection to DashTrade lost ${ago(lostAt)}.`;
    what.setAttribute('aria-live', 'off'); // the seconds are not read out
    if (what.textContent !== said) what.textContent = said;
    const words = `Figures are of ${clock(figuresOf)}. ${MEANS[known]}`;
    if (means.textContent !== words) means.textContent = words;
  }

  let figuresOf = 0, asking = 0;
  async function lost() {
    if (lostAt) return;
    lostAt = Date.now();
    figuresOf = Math.min(window.dashtrade.seen, lostAt);
    alive(); // where the session has ended, the form is next
    await new Promise(done => setTimeout(done, PATIENCE)); // leaving the page, and a restart, look the same for a moment
    if (!lostAt) return;
    const ask = async () => {
      asking = Date.now();
      const said = await askEngine();
      if (lostAt) { known = said; draw(); }
    };
    await ask();
    if (!lostAt) return;
    ticking = setInterval(() => { draw(); if (Date.now() - asking > ASK_EVERY) ask(); }, 1000);
  }

  function back() {
    if (!lostAt) return;
    lostAt = 0;
    clearInterval(ticking);
    banner?.remove();
    banner = undefined;
    html.classList.remove('dt-away');
  }

  const look = () => (connected() ? back() : opened && (hung || find('stApp')) && lost()); // no page at all is another matter: below
  let opened = false; // was there ever a connection? Before it, the page is only slow

  // A tab that is open asks now and then: a session that has ended goes to the form, a server that takes the question and gives
  // no answer is away too.
  async function alive() {
    if (document.hidden) return;
    try {
      const answer = await fetch('/auth/alive', { ...later, signal: AbortSignal.timeout(TIMEOUT) });
      if (answer.status === 401) return window.dashtrade.signIn();
      hung = false;
      crowded = answer.status === 409;
    } catch { hung = true; crowded = false; }
    look();
  }
  setInterval(alive, ALIVE_EVERY);
  setInterval(() => { if (hung) alive(); }, ASK_EVERY);
  document.addEventListener('visibilitychange', alive);

  // --- the menu on a phone ---------------------------------------------------------------------------------------------------

  const narrow = matchMedia('(max-width: 767.98px)'); // Streamlit's own bound: below it the menu covers the page
  const closer = () => find('stSidebarCollapseButton')?.querySelector('button'); // it is there while the menu is open
  const close = () => { if (narrow.matches) closer()?.click(); setTimeout(drape, SOON); };
  const SOON = 60;
  let curtain;

  function drape() {
    if (!narrow.matches || !closer()) { curtain?.remove(); curtain = undefined; return; }
    if (curtain) return;
    curtain = document.createElement('div');
    curtain.className = 'dt-curtain';
    // The tap ends here: Streamlit would close the menu as the finger goes down, and the click would reach what is beneath.
    for (const name of ['pointerdown', 'mousedown', 'touchstart']) curtain.addEventListener(name, event => event.stopPropagation());
    curtain.addEventListener('click', event => { event.stopPropagation(); close(); });
    document.body.append(curtain);
  }
  document.addEventListener('click', event => setTimeout(event.target.closest?.('[data-testid="stSidebarNavLink"]') ? close : drape, SOON), true);
  narrow.addEventListener('change', drape);
  if (narrow.matches) { // Streamlit remembers that it was open
    try { Object.keys(localStorage).filter(key => key.startsWith('stSidebarCollapsed-')).forEach(key => localStorage.setItem(key, 'true')); } catch { /* no storage */ }
  }

  // --- a page that stays empty -----------------------------------------------------------------------------------------------

  const EMPTY = 8000;
  const AGAIN = 'dashtrade-opened-again';
  const drawn = () => document.querySelector('[data-testid="stMain"] h1');
  let emptySince = 0;

  function again(why) {
    try {
      if (sessionStorage.getItem(AGAIN)) return; // once: what fails twice is left for somebody to see
      sessionStorage.setItem(AGAIN, why);
    } catch { return; }
    location.reload();
  }
  window.addEventListener('vite:preloadError', () => again('a script is gone: DashTrade was updated'));
  setInterval(() => {
    opened ||= connected();
    look();
    drape();
    const running = find('stApp')?.dataset.testScriptState;
    if (drawn()) {
      emptySince = 0;
      try { sessionStorage.removeItem(AGAIN); } catch { /* no storage */ }
    } else if (opened && !find('stApp')) again('it broke');
    else if (document.hidden || lostAt || (running && running !== 'notRunning')) emptySince = 0;
    else if (!emptySince) emptySince = Date.now();
    else if (Date.now() - emptySince > EMPTY) again('it stayed empty');
  }, 1000);

  // --- what is watched -------------------------------------------------------------------------------------------------------

  new MutationObserver(changes => {
    for (const { attributeName, target } of changes) {
      if (attributeName === 'data-test-connection-state') { opened ||= connected(); look(); }
      else if (target.dataset.testScriptState === 'notRunning' && connected()) window.dashtrade.seen = Date.now();
    }
  }).observe(html, { subtree: true, attributeFilter: ['data-test-connection-state', 'data-test-script-state'] });
})();
