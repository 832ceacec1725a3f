const KEY = "roomcast-token";

/**
 * The token that a link to the page brought, `/?token=…`: for servers that need one. It goes out of the address at once,
 * where others could read it, and stays for this tab, so that the page can be loaded again.
 */
export function takeToken(): string | undefined {
  const address = new URL(location.href);
  const given = address.searchParams.get("token");
  if (given !== null) {
    address.searchParams.delete("token");
    history.replaceState(history.state, "", address);
  }
  try {
    if (given !== null) sessionStorage.setItem(KEY, given);
    return sessionStorage.getItem(KEY) || undefined;
  } catch {
    // Blocked: then it lasts as long as the page.
    return given || undefined;
  }
}
