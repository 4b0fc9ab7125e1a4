// The scope of the figures stands in the address, so that a link and a reload carry it; the way back does not stop at each change.
export default function ({ data: [data] }) {
  const here = new URL(window.location.href);
  if (here.searchParams.get('scope') === data.scope) return;
  here.searchParams.set('scope', data.scope);
  window.history.replaceState(window.history.state, '', here);
}
