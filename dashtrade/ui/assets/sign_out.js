// The form does it all; it needs the look of the sidebar. And every tab has it, so it also notices when the session has ended:
// a tab left open overnight asks when it is looked at again, and goes to the form by itself.
const EVERY = 20000;

async function check() {
  if (document.hidden) return;
  try {
    const answer = await fetch('/auth/alive', { cache: 'no-store' });
    if (answer.status === 401) window.location.replace('/auth/login');
  } catch { /* the server is away for a moment; Streamlit says so */ }
}

export default function ({ parentElement }) {
  const button = parentElement.querySelector('button');
  button.className = 'act';
  button.style.margin = '0';
  const timer = setInterval(check, EVERY);
  document.addEventListener('visibilitychange', check);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', check);
  };
}
