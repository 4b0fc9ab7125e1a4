// Renews the part of the page it stands in when something of the user's changed; at most every second and a half.
const PAUSE = 1500;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('i');
  box.rev = data.rev; // what the page was drawn with
  let off = () => {}, gone = false, timer;
  let inTurn;
  const renew = rev => inTurn(() => {
    if (gone || document.hidden || rev === box.rev) return;
    box.at = Date.now();
    box.rev = rev;
    setTriggerValue('rev', rev);
  });
  const heard = ({ rev }) => {
    clearTimeout(timer);
    if (rev !== box.rev) timer = setTimeout(() => renew(rev), Math.max(0, (box.at || 0) + PAUSE - Date.now()));
  };
  import(new URL('/live.mjs', document.baseURI).href).then(live => { inTurn = live.inTurn; if (!gone) off = live.subscribe(heard); });
  return () => { gone = true; clearTimeout(timer); off(); };
}
