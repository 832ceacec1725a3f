import { colourOf, initials } from "../text/people.ts";

/** Decoration: the name stands beside it. */
export function Avatar({ user, name }: { user: string; name: string }) {
  return (
    <span class={`avatar colour-${colourOf(user)}`} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
