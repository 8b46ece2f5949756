// The session is over: sign in and come back to the same entry. What was typed waits in localStorage.
export const signIn = () => location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
