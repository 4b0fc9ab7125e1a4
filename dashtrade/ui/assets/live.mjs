// One WebSocket per tab, shared by all parts of the page: whoever subscribes gets the live cells that changed, and the mark of
// the user's state. A tab that nobody looks at asks for silence.
const subscribers = new Set();
const known = {};
let socket, rev = '', wait = 500, timer;

const tell = message => subscribers.forEach(heard => { try { heard(message); } catch (error) { console.error(error); } });
const say = () => { if (socket?.readyState === 1) socket.send(JSON.stringify({ asleep: document.hidden })); };

function open() {
  clearTimeout(timer);
  socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/live`);
  socket.onopen = () => { wait = 500; say(); };
  socket.onmessage = event => {
    const message = JSON.parse(event.data);
    window.dashtrade.seen = Date.now();
    Object.assign(known, message.c);
    rev = message.rev;
    tell(message);
  };
  socket.onclose = event => {
    if (event.code === 4401) { window.dashtrade.signIn(); return; }
    if (event.code === 4409) return; // it gave way to newer tabs: once it is looked at, it asks again
    if (subscribers.size) timer = setTimeout(open, wait = Math.min(wait * 2, 10000));
  };
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && socket?.readyState > 1) open(); else say();
  if (!document.hidden && rev) tell({ c: known, rev });
});

export function subscribe(heard) {
  subscribers.add(heard);
  if (!socket || socket.readyState > 1) open();
  else if (rev) heard({ c: known, rev });
  return () => { subscribers.delete(heard); };
}

// Streamlit sends what happens at the same moment as one message, which can renew one part of the page alone: so they take turns.
// And none begins while a page is being run: its browser side takes the end of that run and the beginning of the part's for one,
// throws away what the run has just drawn as out of date (a dialog, where "Create bot" had opened it), and can break over it.
const GAP = 150;
let turn = Promise.resolve();

const pause = () => new Promise(done => setTimeout(done, GAP));
const running = () => (document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState || 'notRunning') !== 'notRunning';

export function inTurn(act) {
  turn = turn.then(async () => {
    for (let calm = 0; calm < 2; calm = running() ? 0 : calm + 1) await pause(); // a run that leads to another page ends for a moment
    try { act(); } catch (error) { console.error(error); }
  });
}
