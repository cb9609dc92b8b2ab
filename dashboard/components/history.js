// The browser's Back and Forward. Streamlit runs a page anew with the address that they lead to, and cannot tell it from
// any other run: a mark in the address tells the page to read it. And a page that completes its own address, which had
// no parameters, must not leave behind an entry to which Back would lead.

const MARK = "back";
const READ = /\/trends$/; // pages that read their address again

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
  window.addEventListener(
    "popstate",
    () => {
      if (!READ.test(location.pathname)) return;
      const marked = new URL(location.href);
      marked.searchParams.set(MARK, "1");
      window.history.replaceState(window.history.state, "", marked);
    },
    true, // before Streamlit's own
  );
}
