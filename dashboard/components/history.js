// A page that completes its own address, which had no parameters, leaves no entry behind to which Back would lead.

export default function mount() {
  if (window.garmentscopeHistory) return;
  window.garmentscopeHistory = true;
  const push = window.history.pushState.bind(window.history);
  window.history.pushState = (state, unused, url) => {
    const next = new URL(url ?? "", location.href);
    const completed = next.pathname === location.pathname && !location.search && next.search;
    if (completed) window.history.replaceState(state, unused, url);
    else push(state, unused, url);
  };
  // On a phone the drawer of pages closes once one was chosen; Streamlit leaves it open over that page.
  document.addEventListener("click", ({ target }) => {
    const drawer = target.closest?.('[data-testid="stSidebar"]');
    if (drawer && target.closest("a")) drawer.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  });
}
