// Renews the part of the page it stands in when something of the user's changed; at most every second and a half.
const PAUSE = 1500;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('i');
  box.rev = data.rev; // what the page was drawn with
  let off = () => {}, gone = false, timer;
  let inTurn;
  let newest = data.rev; // by the time it is this part's turn there may be a newer one, or the page was drawn with it
  const renew = () => inTurn(() => {
    if (gone || document.hidden || newest === box.rev) return;
    box.at = Date.now();
    box.rev = newest;
    setTriggerValue('rev', newest);
  });
  const heard = ({ rev }) => {
    clearTimeout(timer);
    newest = rev;
    if (rev !== box.rev) timer = setTimeout(renew, Math.max(0, (box.at || 0) + PAUSE - Date.now()));
  };
  import(new URL('/live.mjs', document.baseURI).href).then(live => { inTurn = live.inTurn; if (!gone) off = live.subscribe(heard); });
  return () => { gone = true; clearTimeout(timer); off(); };
}
