// Dark unless chosen otherwise. Streamlit keeps the choice per address and starts with the system's; nothing else depends on this.
for (const path of ['/', '/positions', '/bots', '/connect', '/signals', '/history', '/performance', '/risk_events', '/account', '/admin']) {
  const key = `stActiveTheme-${path}-v2`;
  try {
    if (!localStorage.getItem(key)) localStorage.setItem(key, localStorage.getItem('stActiveTheme-/-v2') || '"Dark"');
  } catch { /* storage is switched off: then the system's theme it is */ }
}
